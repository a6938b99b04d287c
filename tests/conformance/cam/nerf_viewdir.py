"""Modulation of the samples of rays by their direction, and the quantiser of its grids."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from fields.modulation import CAM
from fields.quantisers import MinMax
from fields.view_directions import angles, view_coords
from tests.conformance.recordings import Recording, relative_error

EXACT = {"rtol": 0, "atol": 2e-5}  # of float32
CASES = {
    "norm_10x3": {"norm": "ray"},
    "nonorm_10x3": {"norm": "none"},
    "norm_6x5": {"norm": "ray"},
    "norm_10x3_w8": {"norm": "ray", "quantiser": MinMax(8)},
}


def directions(data: Recording) -> None:
    viewdirs, (azimuth, elevation) = data["viewdirs"], data["sph"]
    torch.testing.assert_close(angles(viewdirs), torch.stack((2 * azimuth - 1, elevation), dim=-1), **EXACT)
    assert torch.equal(elevation < 0, viewdirs[:, 2] > 0)


def layer(name: str, settings: dict, data: Recording) -> None:
    case = data.group(name)
    cam = CAM(case["gamma"].shape, eps=1e-6, **settings)
    cam.load_state_dict({f"{kind}.values": case[kind][None] for kind in ("gamma", "beta")})
    x = case["x"].requires_grad_()
    y = cam(x, view_coords(data["viewdirs"], "official"))
    torch.testing.assert_close(y, case["y"], **EXACT)
    gradients = torch.autograd.grad((y * case["g"]).sum(), (x, cam.gamma.values, cam.beta.values))
    for kind, gradient in zip(("x", "gamma", "beta"), gradients, strict=True):
        assert relative_error(gradient.squeeze(0), case[f"grad_{kind}"]) < 1e-4, kind


def minmax(data: Recording) -> None:
    for bits in (4, 8):
        torch.testing.assert_close(MinMax(bits)(data["minmax/x"]), data[f"minmax/w{bits}"], rtol=1e-6, atol=1e-7)


SECTIONS: dict[str, Callable[[Recording], None]] = {
    "directions": directions,
    **{name: partial(layer, name, settings) for name, settings in CASES.items()},
    "minmax": minmax,
}
