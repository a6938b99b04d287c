"""Small models of continuous images, as the node of a config and as a module, for tests of what surrounds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from fields.nodes import build
from fields.weights import save_field

EDSR = {"class_path": "fields.encoders.EDSR", "init_args": {"num_blocks": 1, "num_features": 8}}
RDN_ARGS = {"num_blocks": 2, "num_layers": 2, "growth": 4, "num_features": 8}
RDN = {"class_path": "fields.encoders.RDN", "init_args": RDN_ARGS}
RCAN_ARGS = {"num_groups": 1, "num_blocks": 1, "num_features": 8, "reduction": 4}
RCAN = {"class_path": "fields.encoders.RCAN", "init_args": RCAN_ARGS}


def node(encoder: dict[str, Any] | None = None, name: str = "LIIF", **arguments: Any) -> dict[str, Any]:
    """The node of a small LIIF."""
    arguments = {"hidden": [16, 16], **arguments} if name == "LIIF" else arguments
    path = f"fields.{name.lower()}.{name}"
    return {"class_path": path, "init_args": {"encoder": encoder or EDSR, **arguments}}


def module(described: dict[str, Any] | None = None, seed: int = 0) -> nn.Module:
    """The module that a node describes, with weights of its own making, drawn by a seed."""
    made = build(described or node(), 10_000).to_empty(device="cpu")
    torch.manual_seed(seed)
    for part in made.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            part.reset_parameters()
    return made.eval()


def stored(folder: Path, described: dict[str, Any] | None = None, seed: int = 0) -> Path:
    """A folder with such a model."""
    described = described or node()
    save_field(folder, described, module(described, seed).state_dict(), {"note": "random"})
    return folder


def run_folder(folder: Path, described: dict[str, Any] | None = None, updates: int = 7) -> Path:
    """A run folder as training leaves it, with the checkpoint of such a model."""
    described = described or node()
    state = {f"model.{name}": tensor for name, tensor in module(described).state_dict().items()}
    init_args = {"model": described, "lr": 1e-4}
    config = {"model": {"class_path": "fields.super_resolution.SuperResolution", "init_args": init_args}}
    folder.mkdir(parents=True)
    checkpoint = {"state_dict": state, "config": yaml.safe_dump(config), "counters": {"updates": updates}}
    torch.save({**checkpoint, "optimizer_states": [{"state": {}}]}, folder / "last.ckpt")
    return folder
