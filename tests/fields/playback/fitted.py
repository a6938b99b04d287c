"""Fields as files, for tests of what draws them; they are not fitted to anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from fields.nodes import build
from fields.weights import load_field, save_field

SIZE = (5, 13, 11)
NODES: dict[str, dict[str, Any]] = {
    "nvp": {
        "class_path": "fields.nvp.NVP",
        "init_args": {"levels": 2, "base": 4, "sparse_shape": [5, 4, 4], "width": 8},
    },
    "siren": {"class_path": "fields.siren_video.SirenVideo", "init_args": {"hidden": [8]}},
    "ffn": {"class_path": "fields.ffn.FFN", "init_args": {"num_frequencies": 4, "hidden": [8]}},
    "instant_ngp": {
        "class_path": "fields.instant_ngp.InstantNGP",
        "init_args": {"levels": 2, "base": 4, "log2_table": 6, "hidden": [8]},
    },
    "nerv": {
        "class_path": "fields.nerv.NeRV",
        "init_args": {
            "network": {
                "class_path": "fields.nerv.NeRVNetwork",
                "init_args": {
                    "num_octaves": 4, "stem": [8], "fc_size": [13, 11], "fc_dim": 4, "strides": [1], "lower_width": 4
                },
            }
        },
    },
}  # fmt: skip


def write_field(folder: Path, name: str, fps: float | None = 10.0, size: tuple[int, int, int] = SIZE) -> nn.Module:
    """Leaves a field in a folder; the same for the same arguments."""
    node = {**NODES[name], "init_args": {"size": list(size), **NODES[name]["init_args"]}}
    random = torch.Generator().manual_seed(0)
    like = build(node, 1000).state_dict()
    state = {key: torch.randn(tensor.shape, generator=random) * 0.3 for key, tensor in like.items()}
    save_field(folder, node, state, {} if fps is None else {"fps": fps})
    return load_field(folder)
