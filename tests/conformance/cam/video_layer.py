"""Layers of a video network: modulation of channels by time, and the blocks around it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from fields.coord_grid import along_axis
from fields.modulation import CAM
from fields.quantisers import TanhFloor
from tests.conformance.recordings import Recording

# The original moves the lower knot by 1e-6 (see the fractions of its recorded times), which shows in float64.
NEAR = {"rtol": 0, "atol": 1e-5}
CASES = {
    f"tempmod_w{bits}_{norm}": {
        "norm": "instance" if norm == "norm" else "none",
        "quantiser": None if bits == 32 else TanhFloor(bits),
    }
    for bits in (32, 8, 6)
    for norm in ("norm", "nonorm")
}


def modulation(name: str, settings: dict, data: Recording) -> None:
    case = data.group(name)
    grids = [case[f"param/mod_grid.{kind}"][:, :, 0, 0].t().double() for kind in (0, 1)]
    cam = CAM(grids[0].shape[1:], len(grids[0]), **settings).double()
    cam.load_state_dict({"gamma.values": grids[0], "beta.values": grids[1]})
    x = case["x"].requires_grad_()
    y = cam(x, case["t"][:, None] * 2 - 1)
    torch.testing.assert_close(y, case["y"], **NEAR)
    *by_grids, by_x = torch.autograd.grad((y * case["g"]).sum(), (cam.gamma.values, cam.beta.values, x))
    for kind, gradient in enumerate(by_grids):
        torch.testing.assert_close(gradient.t(), case[f"grad/mod_grid.{kind}"][:, :, 0, 0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(by_x, case["grad_in/x"], rtol=1e-5, atol=1e-5)


def knots_beside_moments(data: Recording) -> None:
    (left, right), (w_left, w_right) = along_axis(data["t_index/t"] * 2 - 1, int(data["t_index/res"]))
    assert torch.equal(left, data["t_index/left"]) and torch.equal(right, data["t_index/right"])
    torch.testing.assert_close(w_left, data["t_index/w_left"], **NEAR)
    torch.testing.assert_close(w_right, data["t_index/w_right"], **NEAR)


SECTIONS: dict[str, Callable[[Recording], None]] = {
    **{name: partial(modulation, name, settings) for name, settings in CASES.items()},
    "t_index": knots_beside_moments,
}
