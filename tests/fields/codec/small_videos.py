"""Small fields of videos as stored fields, for tests of how they are coded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from fields.nodes import build
from fields.weights import StoredField, save_field
from tests.fields import small_liif

SIZE = [5, 8, 8]
NVP = {
    "class_path": "fields.nvp.NVP",
    "init_args": {"size": SIZE, "levels": 2, "base": 4, "sparse_shape": [5, 3, 4], "width": 4, "depth": 2},
}
NERV_ARGS = {"fc_size": [2, 2], "fc_dim": 4, "strides": [2, 2], "stem": [8], "lower_width": 2}
NODES: dict[str, dict[str, Any]] = {
    "nvp": NVP,
    "siren": {"class_path": "fields.siren_video.SirenVideo", "init_args": {"size": SIZE, "hidden": [8, 8]}},
    "ffn": {"class_path": "fields.ffn.FFN", "init_args": {"size": SIZE, "num_frequencies": 8, "hidden": [8]}},
    "nerv": {
        "class_path": "fields.nerv.NeRV",
        "init_args": {"size": SIZE, "network": {"class_path": "fields.nerv.NeRVNetwork", "init_args": NERV_ARGS}},
    },
    "instant_ngp": {
        "class_path": "fields.instant_ngp.InstantNGP",
        "init_args": {"size": SIZE, "levels": 3, "base": 3, "growth": 2.0, "log2_table": 6, "hidden": [8]},
    },
    "liif": small_liif.node(),
}


def stored(node: dict[str, Any], seed: int = 0) -> StoredField:
    """Such a field with weights drawn by a seed."""
    field: nn.Module = build(node, 10_000)
    draw = torch.Generator().manual_seed(seed)
    state = {name: 0.3 * torch.randn(one.shape, generator=draw) for name, one in field.state_dict().items()}
    return StoredField(Path("small"), node, state, {"note": "random", "psnr": 30.5})


def folder(path: Path, node: dict[str, Any]) -> Path:
    """A folder with such a field."""
    made = stored(node)
    save_field(path, made.node, made.state, made.facts)
    return path
