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

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from stylegan_v.augment.axes import Resampling, downsampling, offsets, upsampling
from stylegan_v.augment.linear import LinearMap, Separable, linear

# Closer to 0 than this, the off-diagonal of a map is rounding: sine and cosine of a quarter turn.
_ROUNDING = 1e-9


def warp(x: Float[Tensor, "N C H W"], inverse: Float[Tensor, "N 3 3"]) -> Float[Tensor, "N C H W"]:
    """Each image moved by an affine map; no image depends on the others of the batch.

    Args:
        x: Images.
        inverse: Takes (x, y, 1) of an output pixel, counted from the centre of the frame, to where it comes from. On
            the host, which decides what is to be done; anywhere else it is waited for.
    """
    return linear(x, _Groups(x, inverse.cpu()))


class _Groups:
    """The warps of all images of a batch, each computed in the cheapest way its map allows.

    Args:
        x: Images; only shape, type and device count.
        inverse: Their maps, on the host.
    """

    def __init__(self, x: Float[Tensor, "N C H W"], inverse: Float[Tensor, "N 3 3"]) -> None:
        height, width = x.shape[2:]
        diagonal, crossed = inverse[:, [0, 1], [0, 1]].abs().amax(1), inverse[:, [0, 1], [1, 0]].abs().amax(1)
        upright, turned = crossed < _ROUNDING, (diagonal < _ROUNDING) & (height == width)
        kinds = (upright.long() + 2 * turned.long()).tolist()

        numbers = [[n for n, k in enumerate(kinds) if k == kind] for kind in range(3)]
        self.parts: list[tuple[Tensor, LinearMap]] = []
        for group, build in zip(numbers, (_lookups, _aligned, _turned), strict=True):
            if group:
                maps = build(inverse[group], x)
                index = torch.tensor(group).to(x.device, non_blocking=True)
                self.parts += zip(index.split(len(index) // len(maps)), maps, strict=True)

    def apply(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        out = x.new_empty(x.shape)
        for index, part in self.parts:
            out[index] = part.apply(x[index])
        return out

    def adjoint(self, y: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        out = y.new_empty(y.shape)
        for index, part in self.parts:
            out[index] = part.adjoint(y[index])
        return out


def _aligned(inverse: Float[Tensor, "n 3 3"], x: Float[Tensor, "N C H W"]) -> list[Separable]:
    """The map of each axis onto itself."""
    height, width = x.shape[2:]
    vertical = _along(inverse[:, 1, 1], inverse[:, 1, 2], height, x)
    return [Separable(vertical, _along(inverse[:, 0, 0], inverse[:, 0, 2], width, x))]


def _turned(inverse: Float[Tensor, "n 3 3"], x: Float[Tensor, "N C H W"]) -> list[_Turned]:
    """Maps that exchange the axes of square images: transpose, then map each axis onto itself."""
    return [_Turned(rest) for rest in _aligned(inverse[:, [1, 0, 2]], x)]


class _Turned:
    def __init__(self, rest: Separable) -> None:
        self.rest = rest

    def apply(self, x: Float[Tensor, "n C H W"]) -> Float[Tensor, "n C H W"]:
        return self.rest.apply(x.mT)

    def adjoint(self, y: Float[Tensor, "n C H W"]) -> Float[Tensor, "n C H W"]:
        return self.rest.adjoint(y).mT


def _along(
    scale: Float[Tensor, " n"], shift: Float[Tensor, " n"], size: int, like: Tensor
) -> Float[Tensor, "n size size"]:
    """Upsampling, linear lookup at ``scale`` * position + ``shift`` and downsampling along one axis, as one matrix."""
    up, down = upsampling(size, like.dtype, like.device), downsampling(size, like.dtype, like.device)
    scale, shift = (value.to(like.device, non_blocking=True) for value in (scale, shift))
    position = 2 * (scale[:, None] * offsets(size, like.device) + shift[:, None]) + 3 * (size - 1)  # [n, Q]
    below = torch.floor(position)
    fraction = (position - below).to(like.dtype)[..., None]
    # A row of zeros on either side of the reflected image stands for all that is beyond.
    rows = F.pad(up.matrix, (0, 0, 1, 1))
    below = below.long()
    lower, upper = (rows[(below + step).clamp(0, len(rows) - 1)] for step in (1, 2))
    return down.times(torch.lerp(lower, upper, fraction))


def _lookups(inverse: Float[Tensor, "n 3 3"], x: Float[Tensor, "N C H W"]) -> list[_Lookup]:
    """Any affine maps, by a bilinear lookup in the part of each upsampled image where output pixels come from."""
    sizes = x.shape[3], x.shape[2]
    dense = inverse.new_tensor([2 * size + 10 for size in sizes])
    middle = inverse.new_tensor([3 * (size - 1) for size in sizes])

    # From [-1, 1] across the dense output to positions in the upsampled image, matrix [n, 2, 2] and origin [n, 2].
    origin = 2 * (inverse[:, :2, :2].sum(2) / 4 + inverse[:, :2, 2]) + middle
    matrix = inverse[:, :2, :2] * dense / 2

    # One image at a time is cheapest where launching is cheap, for each box is only as large as it must be; and the
    # result for an image then has the same bits in any batch.
    alone = _launches_cheaply(x)
    reach = matrix.abs().sum(2)
    low, high = origin - reach, origin + reach
    if not alone:
        low, high = low.amin(0, keepdim=True), high.amax(0, keepdim=True)
    boxes = [
        [_box(*ends) for ends in zip(a, b, sizes, strict=True)]
        for a, b in zip(low.tolist(), high.tolist(), strict=True)
    ]

    # In the units of grid_sample, -1 and 1 are the edges of the box, half a position outside its first and last one.
    start, end = inverse.new_tensor(boxes).unbind(2)  # [n or 1, 2]
    shift = (2 * (origin - start) + 1) / (end - start) - 1
    theta = torch.cat([matrix * (2 / (end - start))[..., None], shift[..., None]], dim=2)
    theta = theta.to(x.device, x.dtype, non_blocking=True)
    shape = [len(theta), x.shape[1], 2 * sizes[1] + 10, 2 * sizes[0] + 10]
    grids = F.affine_grid(theta, shape, align_corners=False).split(1 if alone else len(theta))
    return [_Lookup(grid, *box, x) for grid, box in zip(grids, boxes, strict=True)]


class _Lookup:
    """A bilinear lookup between upsampling and downsampling.

    Args:
        grid: Where the dense output looks, in the units of the box.
        columns: First and end of the upsampled columns that are looked at.
        rows: First and end of the rows.
        like: Images; only shape, type and device count.
    """

    def __init__(
        self,
        grid: Float[Tensor, "n Q_y Q_x 2"],
        columns: tuple[int, int],
        rows: tuple[int, int],
        like: Float[Tensor, "N C H W"],
    ) -> None:
        height, width, kind = *like.shape[2:], (like.dtype, like.device)
        self.grid = grid
        self.up = Resampling(upsampling(height, *kind).rows(*rows), upsampling(width, *kind).rows(*columns))
        self.down = Resampling(downsampling(height, *kind), downsampling(width, *kind))

    def apply(self, x: Float[Tensor, "n C H W"]) -> Float[Tensor, "n C H W"]:
        return self.down.apply(F.grid_sample(self.up.apply(x), self.grid, align_corners=False))

    def adjoint(self, y: Float[Tensor, "n C H W"]) -> Float[Tensor, "n C H W"]:
        dense = self.down.adjoint(y)
        size = len(self.up.vertical.bands), len(self.up.horizontal.bands)
        like = dense.new_zeros(()).expand(*dense.shape[:2], *size)
        # Bilinear (0), zeros outside (0), align_corners False; the gradient for the image alone.
        gradient, _ = torch.ops.aten.grid_sampler_2d_backward(dense, like, self.grid, 0, 0, False, (True, False))
        return self.up.adjoint(gradient)


def _launches_cheaply(x: Tensor) -> bool:
    return x.device.type == "cpu"


def _box(low: float, high: float, size: int) -> tuple[int, int]:
    """First and end of the positions from ``low`` to ``high`` and their neighbours, as far as they exist on an axis."""
    length = 2 * (3 * size - 2)
    first = min(max(int(low) - 2, 0), length - 1)
    return first, max(min(int(high) + 3, length), first + 1)
