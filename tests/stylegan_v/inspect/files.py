"""What tests of the inspection share besides fixtures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.conformance.recordings import folder

SNAPSHOT = folder("stylegan_v") / "official_style_small.pkl"
ROOT = Path(__file__).resolve().parents[3]
CONFIG = ROOT / "configs" / "stylegan_v" / "tiny.yaml"
FACTS = {"updates": 4, "num_clips": 16, "num_frames": 48, "fps": 25.0, "augment_p": 0.0}


def networks_of(checkpoint: dict[str, Any]) -> dict[str, dict[str, Tensor]]:
    """The state dicts of the networks in a checkpoint."""
    networks: dict[str, dict[str, Tensor]] = {"generator": {}, "generator_ema": {}, "discriminator": {}}
    for full, tensor in checkpoint["state_dict"].items():
        network, _, name = full.partition(".")
        if network in networks:
            networks[network][name] = tensor
    return networks


def changed(path: Path, **state: Tensor) -> Path:
    """The checkpoint with other tensors in its state, by names with `__` for dots."""
    checkpoint = torch.load(path, weights_only=True)
    for name, tensor in state.items():
        assert name.replace("__", ".") in checkpoint["state_dict"]
        checkpoint["state_dict"][name.replace("__", ".")] = tensor
    torch.save(checkpoint, path)
    return path
