"""Modulation by place against recordings of CAM."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from fields.modulation import GridModulation, standardise
from tests.conformance.recordings import Recording, files


def grids_of(pair: Tensor, **settings: object) -> GridModulation:
    """Modulation in float64 of recorded grids ``[2, C, *shape]``."""
    grids = GridModulation(pair.shape[2:], pair.shape[1], **settings).double()
    grids.load_state_dict({"gamma": pair[0], "beta": pair[1]})
    return grids


@pytest.mark.parametrize("path", files("cam", "square32_norm/coord"))
def test_modulation_by_place(path: Path) -> None:
    data = Recording(path)
    for name in sorted({key.split("/")[0] for key in data.keys if key.endswith("/param/affine")}):
        case = data.group(name)
        coords = case["coord"][0, :, 0].double().flip(-1)  # recorded in the order of the grid's axes reversed
        x = case["linear_out"][0].double()
        if "normed" in case and "nonorm" not in name:
            x = standardise(x, (-1,))
            torch.testing.assert_close(x, case["normed"][0], rtol=1e-9, atol=1e-9)
        grids = grids_of(case["param/affine"][0, :, None].double())
        torch.testing.assert_close(grids(x, coords).relu(), case["y"][0], rtol=1e-9, atol=1e-9)
        gradient = torch.autograd.grad((grids(x, coords).relu() * case["g"][0]).sum(), (grids.gamma, grids.beta))
        recorded = case["grad/affine"][0, :, None].double()
        torch.testing.assert_close(torch.stack(gradient), recorded, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("path", files("cam", "CAM/layer0_modulated"))
def test_modulation_along_a_line_fades_beyond_its_ends(path: Path) -> None:
    data = Recording(path)
    case = data.group("CAM")
    count = len(data["x"])
    coords = data["x"].double() * 2 - 1
    for k in range(sum(key.startswith("param/affine.") for key in case)):
        grids = grids_of(case[f"param/affine.{k}"][0, :, None, :, 0].double(), padding="zeros")
        found = grids(case[f"layer{k}_linear_out"].double(), coords)
        torch.testing.assert_close(found, case[f"layer{k}_modulated"], rtol=1e-9, atol=1e-9)
    gamma, _ = GridModulation((count,), padding="zeros").read(torch.tensor([[1.0], [1 + 1 / (count - 1)], [2.0]]))
    torch.testing.assert_close(gamma[:, 0], torch.tensor([1.0, 0.5, 0.0]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("path", files("cam", "tempmod_w32_norm/x"))
def test_modulation_of_channels_in_time(path: Path) -> None:
    data = Recording(path)
    for name in ("tempmod_w32_norm", "tempmod_w32_nonorm"):
        case = data.group(name)
        x = case["x"].double() if "nonorm" in name else standardise(case["x"].double(), (2, 3))
        pair = torch.stack([case[f"param/mod_grid.{k}"][:, :, 0, 0].t() for k in (0, 1)]).double()
        gamma, beta = grids_of(pair).read(case["t"].double()[:, None] * 2 - 1)
        found = gamma[..., None, None] * x + beta[..., None, None]
        # The original nudges the knot below by 1e-6, which shows in float64.
        torch.testing.assert_close(found, case["y"].double(), rtol=1e-9, atol=1e-5)
