"""Resampling by the interpolating cubic kernel with a = -0.5, along one axis at a time, at any places.

At pixel centres it is the identity. Widened by how many pixels of the image fall onto one of the result, it is the
low-pass filter of a reduction. Beyond its edges an image goes on with its last pixels.

Shape legend
    n       places along an axis
    K       taps: pixels that a place reads
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

_RADIUS = 2  # of the kernel, in pixels


class Taps(NamedTuple):
    """Which pixels places along an axis read, and how much of each.

    Args:
        index: Of the pixels.
        weight: Of each; they sum to 1.
    """

    index: Int64[Tensor, "n K"]
    weight: Float64[Tensor, "n K"]

    def behind(self, first: int) -> Taps:
        """The same in an image that begins with this pixel."""
        return Taps(self.index - first, self.weight)


def cubic(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The kernel at a distance in pixels (Keys 1981, a = -0.5)."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x < 1, near, torch.where(x < _RADIUS, far, torch.zeros_like(x)))


def taps(places: Float64[Tensor, " n"], size: int, widen: float = 1.0) -> Taps:
    """What places read of an axis.

    Args:
        places: In pixels; 0 is the centre of the first one.
        size: Pixels of the axis.
        widen: Factor on the kernel's width, at least 1.
    """
    radius = _RADIUS * widen
    first = (places - radius).floor() + 1
    index = first[:, None] + torch.arange(math.ceil(2 * radius), dtype=torch.float64, device=places.device)
    weight = cubic((index - places[:, None]) / widen)
    if widen != 1:
        weight = weight / weight.sum(dim=1, keepdim=True)
    return Taps(index.long().clamp(0, size - 1), weight)


def resample(x: Float[Tensor, "..."], found: Taps, dim: int) -> Float[Tensor, "..."]:
    """Images at places along one axis, in their own precision or float32.

    Args:
        x: Images.
        found: What the places read of this axis.
        dim: The axis.
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    index = found.index.t().contiguous().to(x.device, non_blocking=True)
    shape = [-1 if axis == dim % x.ndim else 1 for axis in range(x.ndim)]
    weights = found.weight.t().to(x.device, x.dtype, non_blocking=True)
    total = None
    for column, weight in zip(index, weights, strict=True):
        part = x.index_select(dim, column) * weight.view(shape)
        total = part if total is None else total + part
    return total
