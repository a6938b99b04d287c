"""One layer of an image model: linear, standardised channels, scale and shift by place, rectified."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from fields.modulation import CAM
from tests.conformance.recordings import Recording

EXACT = {"rtol": 1e-9, "atol": 1e-9}
CASES = {"square32_norm": "layer", "square32_nonorm": "none", "rect_norm": "layer", "rect_norm_outside": "layer"}


def off_knots(coord: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Rows whose derivative by place is no matter of convention: not on a knot, nor on the border."""
    position = (coord + 1) / 2 * (torch.tensor(shape).double() - 1)
    return ((position - position.round()).abs() > 1e-6).all(dim=-1)


def layer(name: str, norm: str, data: Recording) -> None:
    case = data.group(name)
    affine = case["param/affine"][0].double()  # [2, H, W]; recorded coordinates run over the last axis first
    cam = CAM(affine.shape[1:], norm=norm).double()
    cam.load_state_dict({"gamma.values": affine[:1], "beta.values": affine[1:]})
    weight, bias = (case[f"param/linear.{kind}"].double().requires_grad_() for kind in ("weight", "bias"))
    x = case["x"].requires_grad_()
    coord = case["coord"].requires_grad_()
    coords = coord[0, :, 0].flip(-1)

    h = F.linear(x, weight, bias)
    torch.testing.assert_close(h, case["linear_out"], **EXACT)
    torch.testing.assert_close(cam.normalise(h, "points"), case["normed"], **EXACT)
    gamma, beta = cam.read(coords)
    torch.testing.assert_close(gamma, case["gamma"], **EXACT)
    torch.testing.assert_close(beta, case["beta"], **EXACT)
    y = cam(h, coords[None]).relu()
    torch.testing.assert_close(y, case["y"], **EXACT)

    inputs = (cam.gamma.values, cam.beta.values, weight, bias, x, coord)
    by_gamma, by_beta, by_weight, by_bias, by_x, by_coord = torch.autograd.grad((y * case["g"]).sum(), inputs)
    torch.testing.assert_close(torch.stack((by_gamma, by_beta), dim=1), case["grad/affine"], **EXACT)
    torch.testing.assert_close(by_weight, case["grad/linear.weight"], **EXACT)
    torch.testing.assert_close(by_bias, case["grad/linear.bias"], **EXACT)
    torch.testing.assert_close(by_x, case["grad_in/x"], **EXACT)
    rows = off_knots(coords.detach(), cam.gamma.shape)
    assert rows.sum() > len(rows) // 2
    torch.testing.assert_close(by_coord[0, rows, 0], case["grad_in/coord"][0, rows, 0], **EXACT)


SECTIONS: dict[str, Callable[[Recording], None]] = {name: partial(layer, name, norm) for name, norm in CASES.items()}
