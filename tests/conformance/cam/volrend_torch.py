"""Quadrature along rays as in NerfAcc, from densities and from opacities."""

from __future__ import annotations

from collections.abc import Callable

import torch

from fields.radiance.volume import see, weights_of
from tests.conformance.recordings import Recording

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def rendered(data: Recording) -> None:
    starts, ends = data["t_starts"], data["t_ends"]
    sigma, rgb = data["sigma"].requires_grad_(), data["rgb"].requires_grad_()
    optical = sigma * (ends - starts)
    weights, passing = weights_of(optical)
    torch.testing.assert_close(weights, data["weights"], **EXACT)
    torch.testing.assert_close(passing[:, :-1], data["trans"], **EXACT)
    torch.testing.assert_close(-torch.expm1(-optical), data["alphas"], **EXACT)

    # The intervals follow each other, so that their edges say the same.
    assert torch.equal(starts[:, 1:], ends[:, :-1])
    edges = torch.cat((starts, ends[:, -1:]), dim=1)
    white, black = see(optical, rgb, edges, "white"), see(optical, rgb, edges, "black")
    torch.testing.assert_close(white.rgb, data["color_white"], **EXACT)
    torch.testing.assert_close(black.rgb, data["color_nobg"], **EXACT)
    torch.testing.assert_close(white.opacity[:, None], data["opacity"], **EXACT)
    # Empty rays end at 0 in the original, and at the far side here.
    empty, recorded = data["opacity"][:, 0] == 0, data["depth"][:, 0]
    assert empty.any() and not empty.all()
    torch.testing.assert_close(white.depth[~empty], recorded[~empty], **EXACT)
    assert (recorded[empty] == 0).all() and torch.equal(white.depth[empty], ends[empty, -1])
    by_sigma, by_rgb = torch.autograd.grad((white.rgb * data["g"]).sum(), (sigma, rgb))
    torch.testing.assert_close(by_sigma, data["grad_sigma"], **EXACT)
    torch.testing.assert_close(by_rgb, data["grad_rgb"], **EXACT)


def from_opacities(data: Recording) -> None:
    weights, passing = weights_of(-torch.log1p(-data["alpha_in"]))
    torch.testing.assert_close(weights, data["alpha_weights"], **EXACT)
    torch.testing.assert_close(passing[:, :-1], data["alpha_trans"], **EXACT)


SECTIONS: dict[str, Callable[[Recording], None]] = {"densities": rendered, "opacities": from_opacities}
