"""Comparing patches of frames of one size with frames of another: pure functions, tensors in, scalars out.

When they apply is decided in `multi_scale.py`.

Shape legend
    T       frames of a clip
    H, W    height and width of a frame or window; h, w those of another, smaller one
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from stylegan_v.networks.decoder import View
from stylegan_v.ops.bicubic import resample, taps

_REACH = 2  # of the filter, in cells of the coarser frame
_LEAST_RATIO = 1.2  # of two sizes; a filter that hardly reduces only blurs


def inner_view(view: View, size: tuple[int, int]) -> View | None:
    """The part of a smaller frame of which all is known that a filter needs, if a patch of a larger one is known.

    Args:
        view: Of the patch.
        size: Height and width of the smaller frame.

    Returns:
        None where there is no such part, or the sizes are too much alike.
    """
    starts, stops = [], []
    for axis in (0, 1):
        ratio = view.size[axis] / size[axis]
        if ratio < _LEAST_RATIO:
            return None
        first, last = view.window[axis], view.window[axis + 2]
        centres = _places(view, size, axis, 0, size[axis])
        above = centres - _REACH * ratio >= -1 if first else torch.ones_like(centres, dtype=torch.bool)
        below = centres + _REACH * ratio <= last - first if last < view.size[axis] else torch.ones_like(above)
        known = (above & below).nonzero()
        if not len(known):
            return None
        starts.append(int(known[0]))
        stops.append(int(known[-1]) + 1)
    return View(size, (*starts, *stops))


def reduced(patch: Float[Tensor, "T 3 H W"], view: View, coarser: View) -> Float[Tensor, "T 3 h w"]:
    """A patch, low-passed to the pixels of a smaller frame.

    Args:
        patch: What is seen in ``view``.
        view: Of the patch.
        coarser: What of the smaller frame is wanted, see `inner_view`.
    """
    for axis in (0, 1):
        start, stop = coarser.window[axis], coarser.window[axis + 2]
        places = _places(view, coarser.size, axis, start, stop)
        widen = view.size[axis] / coarser.size[axis]
        patch = resample(patch, taps(places, patch.shape[2 + axis], widen), 2 + axis)
    return patch


def _places(view: View, size: tuple[int, int], axis: int, start: int, stop: int) -> Tensor:
    """Centres of pixels of a smaller frame along an axis, in numbers of a patch's pixels; float64."""
    ratio = view.size[axis] / size[axis]
    cells = torch.arange(start, stop, dtype=torch.float64)
    return (cells + 0.5) * ratio - 0.5 - view.shift[axis] - view.window[axis]


def distance(
    patch: Float[Tensor, "T 3 H W"], view: View, other: Float[Tensor, "T 3 h w"], coarser: View
) -> Float[Tensor, ""]:
    """Mean absolute difference between a patch, reduced, and the same part of the picture drawn at that size.

    Args:
        patch: What is seen in ``view``.
        view: Of the patch.
        other: What is seen in ``coarser``.
        coarser: See `inner_view`.
    """
    return (reduced(patch, view, coarser) - other).abs().mean()
