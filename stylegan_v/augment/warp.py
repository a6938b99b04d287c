"""Anti-aliased affine warp of reflected images (ADA, appendix B.3): upsample, sample bilinearly, downsample.

The image continues by reflection for ``size - 1`` pixels on each side and is zero beyond. All four steps are linear
and act alike on every channel, which leaves two ways to compute them:

* an axis-aligned map (mirror, quarter turn, translation, scaling) is one small matrix per axis;
* any other map has matrices for the two resamplings and a bilinear lookup between them.

Shape legend
    N, C        images, and channels that share a warp (colours of all frames of a clip)
    H, W        height and width
    S           positions along an axis of the reflected image, twice as dense: 2 (3 size - 2)
    Q           positions that the downsampling filter sees: 2 size + 10
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from stylegan_v.augment.linear import LinearMap, Separable, linear

# Low-pass decomposition filter of the wavelet sym6 (Daubechies, "Ten Lectures on Wavelets", 1992), here with sum 1.
SYM6 = (
    *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633),
    *(0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252),
    *(-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
LOWPASS = tuple(tap / sum(SYM6) for tap in SYM6)
_REACH = 5  # of the filter: taps before its centre

# Closer to 0 than this, the off-diagonal of a map is rounding: sine and cosine of a quarter turn.
_ROUNDING = 1e-9


def warp(x: Float[Tensor, "N C H W"], inverse: Float[Tensor, "N 3 3"]) -> Float[Tensor, "N C H W"]:
    """Each image moved by an affine map; no image depends on the others of the batch.

    Args:
        x: Images.
        inverse: Takes (x, y, 1) of an output pixel, counted from the centre of the frame, to where it comes from.
    """
    return linear(x, _Groups(x, inverse.to(x.device)))


class _Groups:
    """The warps of all images of a batch, each computed in the cheapest way its map allows.

    Args:
        x: Images; only shape, type and device count.
        inverse: Their maps.
    """

    def __init__(self, x: Float[Tensor, "N C H W"], inverse: Float[Tensor, "N 3 3"]) -> None:
        height, width = x.shape[2:]
        diagonal, crossed = inverse[:, [0, 1], [0, 1]].abs().amax(1), inverse[:, [0, 1], [1, 0]].abs().amax(1)
        upright, turned = crossed < _ROUNDING, (diagonal < _ROUNDING) & (height == width)
        kinds = (upright.long() + 2 * turned.long()).tolist()

        self.parts: list[tuple[Tensor, LinearMap]] = []
        for kind, build in ((1, _aligned), (2, _Turned), (0, _Sampled)):
            numbers = [n for n, k in enumerate(kinds) if k == kind]
            # A lookup costs as much as its box is large. One at a time is cheapest where launching is cheap; the results
            # of one image then have the same bits in any batch.
            alone = kind == 0 and x.device.type == "cpu"
            for group in [[n] for n in numbers] if alone else [numbers] * bool(numbers):
                index = torch.tensor(group, device=x.device)
                self.parts.append((index, build(inverse[index], x)))

    def apply(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        out = torch.empty_like(x)
        for index, part in self.parts:
            out[index] = part.apply(x[index])
        return out

    def adjoint(self, y: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        out = torch.empty_like(y)
        for index, part in self.parts:
            out[index] = part.adjoint(y[index])
        return out


def _aligned(inverse: Float[Tensor, "n 3 3"], x: Float[Tensor, "N C H W"]) -> Separable:
    """The map of each axis onto itself."""
    height, width = x.shape[2:]
    vertical = _along(inverse[:, 1, 1], inverse[:, 1, 2], height, x)
    return Separable(vertical, _along(inverse[:, 0, 0], inverse[:, 0, 2], width, x))


class _Turned:
    """Maps that exchange the axes of square images: transpose, then map each axis onto itself."""

    def __init__(self, inverse: Float[Tensor, "n 3 3"], x: Float[Tensor, "N C H W"]) -> None:
        self.rest = _aligned(inverse[:, [1, 0, 2]], x)

    def apply(self, x: Float[Tensor, "n C H W"]) -> Float[Tensor, "n C H W"]:
        return self.rest.apply(x.mT)

    def adjoint(self, y: Float[Tensor, "n C H W"]) -> Float[Tensor, "n C H W"]:
        return self.rest.adjoint(y).mT


def _along(
    scale: Float[Tensor, " n"], shift: Float[Tensor, " n"], size: int, like: Tensor
) -> Float[Tensor, "n size size"]:
    """Upsampling, linear lookup at ``scale`` * position + ``shift`` and downsampling along one axis, as one matrix."""
    up, down = _upsampling(size, like.dtype, like.device), _downsampling(size, like.dtype, like.device)
    position = 2 * (scale[:, None] * _offsets(size, like.device) + shift[:, None]) + 3 * (size - 1)  # [n, Q]
    below = torch.floor(position)
    fraction = (position - below).to(like.dtype)[..., None]
    # A row of zeros on either side of the reflected image stands for all that is beyond.
    rows = F.pad(up, (0, 0, 1, 1))
    below = below.long()
    lower, upper = (rows[(below + step).clamp(0, len(rows) - 1)] for step in (1, 2))
    return down @ torch.lerp(lower, upper, fraction)


class _Sampled:
    """Any affine maps: a bilinear lookup between upsampling and downsampling.

    Args:
        inverse: The maps.
        x: Images; only shape, type and device count.
    """

    def __init__(self, inverse: Float[Tensor, "n 3 3"], x: Float[Tensor, "N C H W"]) -> None:
        sizes = x.shape[3], x.shape[2]
        dense = torch.tensor([2 * size + 10 for size in sizes], dtype=torch.float64, device=x.device)
        middle = torch.tensor([3.0 * (size - 1) for size in sizes], dtype=torch.float64, device=x.device)

        # From [-1, 1] across the dense output grid to positions in the upsampled image, [n, 2, 3].
        linear_part = inverse[:, :2, :2]
        origin = 2 * (linear_part.sum(2) / 4 + inverse[:, :2, 2]) + middle
        linear_part = linear_part * dense / 2

        # The part of the upsampled image that is looked at, the same size for all of the group.
        reach = linear_part.abs().sum(2)
        low, high = (origin - reach).amin(0).tolist(), (origin + reach).amax(0).tolist()
        boxes = [_box(a, b, 2 * (3 * size - 2)) for a, b, size in zip(low, high, sizes, strict=True)]
        (left, right), (top, bottom) = boxes
        extent = torch.tensor([right - left, bottom - top], dtype=torch.float64, device=x.device)
        start = torch.tensor([left, top], dtype=torch.float64, device=x.device)

        # In the units of grid_sample: -1 and 1 are the edges of the box, half a pixel outside its first and last centre.
        theta = torch.cat([linear_part * (2 / extent)[:, None], ((2 * (origin - start) + 1) / extent - 1)[..., None]], 2)
        shape = [len(inverse), x.shape[1], 2 * sizes[1] + 10, 2 * sizes[0] + 10]
        self.grid = F.affine_grid(theta.to(x.dtype), shape, align_corners=False)
        vertical, horizontal = (_upsampling(size, x.dtype, x.device) for size in (sizes[1], sizes[0]))
        self.up = Separable(vertical[None, top:bottom], horizontal[None, left:right])
        vertical, horizontal = (_downsampling(size, x.dtype, x.device) for size in (sizes[1], sizes[0]))
        self.down = Separable(vertical[None], horizontal[None])

    def apply(self, x: Float[Tensor, "n C H W"]) -> Float[Tensor, "n C H W"]:
        return self.down.apply(F.grid_sample(self.up.apply(x), self.grid, align_corners=False))

    def adjoint(self, y: Float[Tensor, "n C H W"]) -> Float[Tensor, "n C H W"]:
        dense = self.down.adjoint(y)
        size = self.up.vertical.shape[-2], self.up.horizontal.shape[-2]
        like = dense.new_zeros(()).expand(*dense.shape[:2], *size)
        # Bilinear (0), zeros outside (0), align_corners False; the gradient for the image alone.
        gradient, _ = torch.ops.aten.grid_sampler_2d_backward(dense, like, self.grid, 0, 0, False, (True, False))
        return self.up.adjoint(gradient)


def _box(low: float, high: float, size: int) -> tuple[int, int]:
    """First and end of the positions between ``low`` and ``high``, with their neighbours, as far as they exist."""
    first = min(max(int(low) - 2, 0), size - 1)
    return first, max(min(int(high) + 3, size), first + 1)


def _offsets(size: int, device: torch.device) -> Float[Tensor, " Q"]:
    """Distances from the centre of an axis, in pixels, of the positions that the downsampling filter sees."""
    return (torch.arange(-_REACH, 2 * size + _REACH, dtype=torch.float64, device=device) - (size - 1)) / 2


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _upsampling(size: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "S size"]:
    """An axis continued by reflection, with zeros between its pixels, filtered: twice as dense."""
    first, end = -(size - 1), 2 * size - 1  # pixels of the reflected axis
    position = torch.arange(2 * first, 2 * end)[:, None]
    doubled = position + _REACH - torch.arange(len(LOWPASS))  # [S, taps], twice the pixel under each tap
    seen = (doubled % 2 == 0) & (doubled >= 2 * first) & (doubled < 2 * end)
    taps = 2 * torch.tensor(LOWPASS, dtype=torch.float64) * seen
    matrix = torch.zeros(len(position), size, dtype=torch.float64)
    return matrix.scatter_add_(1, reflect(doubled // 2, size), taps).to(device, dtype)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _downsampling(size: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "size Q"]:
    """Every second position of a dense axis, filtered by the reversed filter."""
    column = 2 * torch.arange(size)[:, None] + torch.arange(len(LOWPASS))
    taps = torch.tensor(LOWPASS, dtype=torch.float64).expand(size, -1)
    matrix = torch.zeros(size, 2 * size + 2 * _REACH, dtype=torch.float64)
    return matrix.scatter_add_(1, column, taps).to(device, dtype)


def reflect(index: Tensor, size: int) -> Tensor:
    """Any index folded into 0 .. size - 1 by reflection at the first and the last pixel (which are not repeated)."""
    period = max(2 * (size - 1), 1)
    index = index.abs() % period
    return torch.where(index < size, index, period - index)
