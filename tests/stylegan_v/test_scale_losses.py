from __future__ import annotations

import numpy as np
import pytest
import torch

from datasets.resampling import window_of
from stylegan_v.networks.decoder import View
from stylegan_v.scale_losses import distance, inner_view, reduced


def plane(view: View) -> torch.Tensor:
    """A linear picture, seen in a view: what filters leave as it is, up to a thousandth where a ratio is no integer."""
    y, x = (
        (torch.arange(view.window[axis], view.window[axis + 2]) + 0.5 + view.shift[axis]) / view.size[axis]
        for axis in (0, 1)
    )
    return (torch.stack([y[:, None] + 0 * x, x + 0 * y[:, None], y[:, None] - x])).float()[None]


@pytest.mark.parametrize(
    ("size", "window", "shift"),
    [
        ((48, 48), (8, 9, 40, 41), (0.0, 0.0)),
        ((64, 80), (16, 20, 48, 52), (0.3, -0.4)),
        ((39, 45), (3, 5, 35, 37), (0.5, 0.5)),
    ],
)
def test_a_plane_is_the_same_at_all_scales(size: tuple, window: tuple, shift: tuple) -> None:
    view = View(size, window, shift)
    coarser = inner_view(view, (32, 32))
    assert coarser is not None and min(coarser.shape) >= 8
    torch.testing.assert_close(reduced(plane(view), view, coarser), plane(coarser), rtol=0, atol=1e-3)
    assert distance(plane(view), view, plane(coarser), coarser) < 5e-4
    torch.testing.assert_close(
        distance(plane(view), view, plane(coarser) + 0.5, coarser), torch.tensor(0.5), rtol=2e-3, atol=0
    )


def test_what_is_known_of_a_smaller_frame_needs_nothing_outside_of_the_patch() -> None:
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    view = View((64, 64), (10, 20, 42, 52))
    coarser = inner_view(view, (32, 32))
    assert coarser.window == (7, 12, 19, 24), "filters of eight pixels, within 32"
    inside = reduced(picture[:, :, 10:42, 20:52], view, coarser)
    whole = window_of(picture, (32, 32), coarser.window)
    torch.testing.assert_close(inside, whole, rtol=1e-4, atol=1e-5)


def test_at_the_border_of_the_frame_nothing_is_missing() -> None:
    assert inner_view(View((64, 64), (0, 32, 32, 64)), (32, 32)).window == (0, 18, 14, 32)


def test_too_little_and_too_similar_are_left_out() -> None:
    assert inner_view(View((64, 64), (20, 20, 26, 52)), (32, 32)) is None
    assert inner_view(View((36, 36), (2, 2, 34, 34)), (32, 32)) is None
    assert inner_view(View((24, 24), (0, 0, 24, 24)), (32, 32)) is None


def test_reducing_is_differentiable() -> None:
    view = View((64, 64), (10, 20, 42, 52))
    patch = torch.rand(2, 3, 32, 32, requires_grad=True)
    coarser = inner_view(view, (40, 40))
    distance(patch, view, torch.zeros(2, 3, *coarser.shape), coarser).backward()
    assert np.isclose(float(patch.grad.sum()), 1, atol=1e-4), "weights of a filter sum to one"
