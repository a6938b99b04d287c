"""Every field of videos goes to a folder and comes back, from the node of a config alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from fields.coords import times
from fields.interface import VideoField
from fields.nodes import build
from fields.weights import load_field, save_field

SIZE = [3, 8, 12]
NERV = {"num_octaves": 3, "stem": [6], "fc_size": [2, 3], "fc_dim": 4, "strides": [2, 2], "lower_width": 3}
FIELDS = {
    "nvp.NVP": {"levels": 2, "base": 4, "sparse_shape": [3, 4, 5], "width": 8, "capped": True},
    "siren_video.SirenVideo": {"hidden": [6, 6]},
    "ffn.FFN": {"num_frequencies": 4, "hidden": [6]},
    "instant_ngp.InstantNGP": {"levels": 3, "base": 4, "log2_table": 6, "hidden": [6]},
    "nerv.NeRV": {"network": {"class_path": "fields.nerv.NeRVNetwork", "init_args": NERV}},
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_stored_field_renders_the_same(name: str, tmp_path: Path) -> None:
    node: dict[str, Any] = {"class_path": f"fields.{name}", "init_args": {"size": SIZE, **FIELDS[name]}}
    field = build(node, 1000).to_empty(device="cpu")
    with torch.no_grad():
        for tensor in field.state_dict().values():
            tensor.normal_(std=0.1)
    save_field(tmp_path / "field", node, field.state_dict(), {})
    again = load_field(tmp_path / "field")
    assert isinstance(again, VideoField)
    frames = again.render(times(3), (8, 12))
    assert frames.shape == (3, 3, 8, 12) and frames.isfinite().all() and frames.std() > 0
    assert torch.equal(frames, field.render(times(3), (8, 12)))
