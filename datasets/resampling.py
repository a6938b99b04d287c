"""Reducing and shifting pictures by a cubic filter that grows with the reduction: parts of a frame at any size.

Shape legend
    N       pictures
    C       channels
    K, L    rows and columns of the part that is wanted
    H, W    height and width of what there is
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

_REACH = 2  # of the kernel to each side, in cells of the coarser grid


def cubic(x: Float64[np.ndarray, "*N"]) -> Float64[np.ndarray, "*N"]:
    """The interpolating cubic kernel with a = -1/2 (Keys 1981, eq. 4), zero from 2 on."""
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def places(num_in: int, num_out: int, start: int, stop: int, shift: float = 0.0) -> Float64[np.ndarray, " K"]:
    """Centres of cells ``start`` to ``stop`` of an axis of ``num_out`` cells, in numbers of its ``num_in`` elements.

    Args:
        num_in: Elements of the axis.
        num_out: Cells that it is divided into.
        start: First cell.
        stop: The one after the last.
        shift: Of all the cells, in cells.
    """
    return (np.arange(start, stop) + 0.5 + shift) * num_in / num_out - 0.5


def weights(centres: Float64[np.ndarray, " K"], ratio: float, num_in: int) -> tuple[int, Float[Tensor, "K H"]]:
    """What elements contribute to each cell; beyond its ends an axis goes on with its last elements.

    Args:
        centres: As `places` gives them.
        ratio: Elements per cell: the kernel is so much wider; below 1 it counts as 1, which interpolates.
        num_in: Elements of the axis.

    Returns:
        The first element that counts, and the contributions from it on; rows sum to one.
    """
    reach = _REACH * max(ratio, 1.0)
    needed = np.arange(math.floor(centres[0] - reach) + 1, math.ceil(centres[-1] + reach))
    found = cubic((needed - centres[:, None]) / max(ratio, 1.0))
    found /= found.sum(axis=1, keepdims=True)
    there = needed.clip(0, num_in - 1)
    first = int(there[0])
    gathered = np.zeros((len(centres), there[-1] - first + 1))
    np.add.at(gathered.T, there - first, found.T)
    return first, torch.from_numpy(gathered.astype(np.float32))


def window_of(
    images: Tensor, size: tuple[int, int], window: tuple[int, int, int, int], shift: tuple[float, float] = (0.0, 0.0)
) -> Float[Tensor, "N C K L"]:
    """The part of whole pictures [N, C, H, W] that a window shows of them at another size.

    Args:
        images: Of any kind of numbers.
        size: Height and width of the whole pictures at that size.
        window: (y0, x0, y1, x1) in its pixels, half open.
        shift: (y, x), of the grid of these pixels, in them; beyond its border a picture goes on as its border is.
    """
    taken = []
    for axis, (side, start, stop, moved) in enumerate(zip(size, window[:2], window[2:], shift, strict=True), start=2):
        there = images.shape[axis]
        first, matrix = weights(places(there, side, start, stop, moved), there / side, there)
        images = images.narrow(axis, first, matrix.shape[1])
        taken.append(matrix.to(images.device))
    rows, columns = taken
    return rows @ (images.float() @ columns.T)
