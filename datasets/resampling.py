"""Reducing and shifting pictures by a cubic filter that grows with the reduction: parts of a frame at any size.

Shape legend
    N       pictures
    C       channels
    K, L    rows and columns of the part that is wanted
    H, W    height and width of what there is
"""

from __future__ import annotations

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


def support(centres: Float64[np.ndarray, " K"], ratio: float) -> tuple[int, int]:
    """The elements that reach cells with these centres, half open; some may lie outside of the axis.

    Args:
        centres: As `places` gives them, increasing.
        ratio: Elements per cell; below 1 it counts as 1.
    """
    reach = _REACH * max(ratio, 1.0)
    return int(np.floor(centres[0] - reach)) + 1, int(np.ceil(centres[-1] + reach))


def weights(centres: Float64[np.ndarray, " K"], ratio: float, first: int, last: int) -> Float[Tensor, "K H"]:
    """What each of the elements ``first`` to ``last`` contributes to each cell; rows sum to one.

    Elements that a cell would need but that are not there share out their weight among the others.

    Args:
        centres: As `places` gives them.
        ratio: Elements per cell: the kernel is so much wider; below 1 it counts as 1, which interpolates.
        first: First element there is.
        last: The one after the last.
    """
    found = cubic((np.arange(first, last) - centres[:, None]) / max(ratio, 1.0))
    return torch.from_numpy((found / found.sum(axis=1, keepdims=True)).astype(np.float32))


def resample(
    images: Float[Tensor, "N C H W"], rows: Float[Tensor, "K H"], columns: Float[Tensor, "L W"]
) -> Float[Tensor, "N C K L"]:
    """Rows, then columns, as sums of those there are."""
    return rows @ (images @ columns.T)


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
    matrices = []
    for axis, (side, start, stop, moved) in enumerate(zip(size, window[:2], window[2:], shift, strict=True), start=2):
        there, ratio = images.shape[axis], images.shape[axis] / side
        centres = places(there, side, start, stop, moved).clip(0, there - 1)
        low, high = support(centres, ratio)
        low, high = max(low, 0), min(high, there)
        images = images.narrow(axis, low, high - low)
        matrices.append(weights(centres, ratio, low, high).to(images.device))
    return resample(images.float(), *matrices)
