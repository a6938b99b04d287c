"""Modulation by place against recordings of CAM."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fields.modulation import CAM
from tests.conformance.recordings import Recording, files


@pytest.mark.parametrize("path", files("cam", "CAM/layer0_modulated"))
def test_modulation_along_a_line_fades_beyond_its_ends(path: Path) -> None:
    data = Recording(path)
    case = data.group("CAM")
    count = len(data["x"])
    coords = data["x"].double() * 2 - 1
    for k in range(sum(key.startswith("param/affine.") for key in case)):
        pair = case[f"param/affine.{k}"][0, :, None, :, 0].double()
        grids = CAM(pair.shape[2:], padding="zeros").double()
        grids.load_state_dict({"gamma.values": pair[0], "beta.values": pair[1]})
        found = grids(case[f"layer{k}_linear_out"].double(), coords)
        torch.testing.assert_close(found, case[f"layer{k}_modulated"], rtol=1e-9, atol=1e-9)
    gamma, _ = CAM((count,), padding="zeros").read(torch.tensor([[1.0], [1 + 1 / (count - 1)], [2.0]]))
    torch.testing.assert_close(gamma[:, 0], torch.tensor([1.0, 0.5, 0.0]), rtol=0, atol=1e-4)
