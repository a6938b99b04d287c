"""Resampling one axis of an image as multiplication by a banded matrix.

Shape legend
    S       positions along an axis of the reflected image, twice as dense: 2 (3 size - 2)
    Q       positions that the downsampling filter sees: 2 size + 10
"""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

# Low-pass decomposition filter of the wavelet sym6 (Daubechies, "Ten Lectures on Wavelets", 1992), here with sum 1.
_SYM6 = (
    *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633),
    *(0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252),
    *(-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
LOWPASS = tuple(tap / sum(_SYM6) for tap in _SYM6)
_REACH = 5  # of the filter: taps before its centre
_BLOCK = 32  # rows multiplied at once
_SMALL = 96  # columns up to which a matrix is multiplied at once


class Banded:
    """A matrix whose rows differ from zero only over a short stretch, multiplied block of rows by block of rows.

    Args:
        matrix: All of it.
        bands: First column and end of what differs from zero, per row.
    """

    def __init__(self, matrix: Float[Tensor, "m n"], bands: list[tuple[int, int]]) -> None:
        self.matrix, self.bands = matrix, bands

    def rows(self, start: int, end: int) -> Banded:
        """The matrix of some of the rows."""
        return Banded(self.matrix[start:end], self.bands[start:end])

    def times(self, x: Float[Tensor, "... n w"]) -> Float[Tensor, "... m w"]:
        """Matrix times ``x``."""
        out = x.new_empty(*x.shape[:-2], len(self.bands), x.shape[-1])
        for rows, columns in self._blocks():
            out[..., rows, :] = self.matrix[rows, columns] @ x[..., columns, :]
        return out

    def transpose_times(self, y: Float[Tensor, "... m w"]) -> Float[Tensor, "... n w"]:
        """Transposed matrix times ``y``."""
        out = y.new_zeros(*y.shape[:-2], self.matrix.shape[1], y.shape[-1])
        for rows, columns in self._blocks():
            out[..., columns, :] += self.matrix[rows, columns].mT @ y[..., rows, :]
        return out

    def _blocks(self) -> list[tuple[slice, slice]]:
        # Of a small matrix, or on an accelerator, the zeros are multiplied in less time than it takes to launch blocks.
        blocked = self.matrix.device.type == "cpu" and self.matrix.shape[1] > _SMALL
        size = _BLOCK if blocked else len(self.bands)
        starts = range(0, len(self.bands), size)
        groups = [self.bands[start : start + size] for start in starts]
        columns = [slice(min(first for first, _ in group), max(end for _, end in group)) for group in groups]
        return [(slice(start, start + size), stretch) for start, stretch in zip(starts, columns, strict=True)]


class Resampling:
    """One banded matrix down the columns of pixels and one along the rows, for all images alike.

    Args:
        vertical: From height to height.
        horizontal: From width to width.
    """

    def __init__(self, vertical: Banded, horizontal: Banded) -> None:
        self.vertical, self.horizontal = vertical, horizontal

    def apply(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
        return self.vertical.times(self.horizontal.times(x.mT).mT)

    def adjoint(self, y: Float[Tensor, "N C h w"]) -> Float[Tensor, "N C H W"]:
        return self.horizontal.transpose_times(self.vertical.transpose_times(y).mT).mT


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def upsampling(size: int, dtype: torch.dtype, device: torch.device) -> Banded:
    """[S, size]: an axis continued by reflection, with zeros between its pixels, filtered: twice as dense."""
    first, end = -(size - 1), 2 * size - 1  # pixels of the reflected axis
    position = torch.arange(2 * first, 2 * end)[:, None]
    doubled = position + _REACH - torch.arange(len(LOWPASS))  # [S, taps], twice the pixel under each tap
    seen = (doubled % 2 == 0) & (doubled >= 2 * first) & (doubled < 2 * end)
    taps = 2 * torch.tensor(LOWPASS, dtype=torch.float64) * seen
    return _banded(size, reflect(doubled // 2, size), taps, dtype, device)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def downsampling(size: int, dtype: torch.dtype, device: torch.device) -> Banded:
    """[size, Q]: every second position of a dense axis, filtered by the reversed filter."""
    column = 2 * torch.arange(size)[:, None] + torch.arange(len(LOWPASS))
    taps = torch.tensor(LOWPASS, dtype=torch.float64).expand(size, -1)
    return _banded(2 * size + 2 * _REACH, column, taps, dtype, device)


def offsets(size: int, device: torch.device) -> Float[Tensor, " Q"]:
    """Distances from the centre of an axis, in pixels, of the positions that the downsampling filter sees."""
    return (torch.arange(-_REACH, 2 * size + _REACH, dtype=torch.float64, device=device) - (size - 1)) / 2


def reflect(index: Tensor, size: int) -> Tensor:
    """Any index folded into 0 .. size - 1 by reflection at the first and the last pixel (which are not repeated)."""
    period = max(2 * (size - 1), 1)
    index = index.abs() % period
    return torch.where(index < size, index, period - index)


def _banded(num_columns: int, column: Tensor, taps: Tensor, dtype: torch.dtype, device: torch.device) -> Banded:
    """Each row's taps, added where they fall."""
    matrix = torch.zeros(len(column), num_columns, dtype=torch.float64).scatter_add_(1, column, taps)
    bands = [(min(row), max(row) + 1) for row in column.tolist()]
    return Banded(matrix.to(device, dtype, non_blocking=True), bands)
