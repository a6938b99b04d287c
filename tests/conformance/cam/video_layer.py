"""Layers of a video network: modulation of channels by time, and the blocks around it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from fields.coord_grid import along_axis
from fields.ffnerv.blocks import ConvBlock
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


def block(name: str, convolution: str, stride: int, data: Recording) -> None:
    case = data.group(name)
    shapes = {key: value for key, value in case.items() if key.startswith("param/")}
    grids = [key for key in shapes if "mod_grid" in key]
    knots = len(shapes[grids[0]]) if grids else None
    in_dim, out_dim = case["x"].shape[1], case["y"].shape[1]
    made = ConvBlock(in_dim, out_dim, stride, knots, "plain" if convolution == "conv" else convolution).double()
    theirs = {
        "conv.0.weight": "conv.conv1.weight",
        "conv.0.bias": "conv.conv1.bias",
        "conv.1.weight": "conv.conv2.weight",
        "conv.1.bias": "conv.conv2.bias",
        "cam.gamma.values": "norm.mod_grid.0",
        "cam.beta.values": "norm.mod_grid.1",
    }
    ours = dict(made.named_parameters())
    assert {theirs[key] for key in ours} == {key.removeprefix("param/") for key in shapes}

    def like_ours(key: str, value: torch.Tensor) -> torch.Tensor:
        return value[:, :, 0, 0].t() if key.startswith("cam") else value

    made.load_state_dict({key: like_ours(key, case[f"param/{theirs[key]}"]).double() for key in ours})
    x = case["x"].requires_grad_()
    y = made(x, case["t"])
    near = NEAR if grids else {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(y, case["y"], **near)
    (y * case["g"]).sum().backward()
    torch.testing.assert_close(x.grad, case["grad_in/x"], rtol=1e-4, atol=1e-5)
    for key, parameter in ours.items():
        recorded = like_ours(key, case[f"grad/{theirs[key]}"])
        torch.testing.assert_close(parameter.grad, recorded, rtol=1e-4, atol=1e-4, msg=lambda m, k=key: f"{k}: {m}")


def blocks(data: Recording) -> None:
    names = sorted({key.split("/")[0] for key in data.keys if key.startswith("convblock_")})
    assert names
    for name in names:
        _, convolution, stride, _ = name.split("_")
        block(name, convolution, int(stride.removeprefix("s")), data)


SECTIONS: dict[str, Callable[[Recording], None]] = {
    **{name: partial(modulation, name, settings) for name, settings in CASES.items()},
    "t_index": knots_beside_moments,
    "convblock": blocks,
}
