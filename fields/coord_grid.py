"""Small grids that are read at coordinates, linearly between their knots, to any order of derivatives.

The first and last knot of an axis lie at -1 and 1. A periodic axis is a circle instead: its n knots lie at
``-1 + 2 k / n``, and 1 is the first knot again. An axis of one knot is constant.

Shape legend
    *B      grids of their own
    *N      points
    S       points along the line of each grid
    T       knots of a line
    V       knots of a grid
    D       axes of the grids, first axis first
    C       channels
    K       corners of a cell
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from itertools import product
from typing import Literal

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int64
from torch import Tensor, nn

from errors import InputError
from fields.table_reading import read_weighted

Padding = Literal["border", "zeros"]
Pair = tuple[Tensor, Tensor]  # of the lower and the upper knot
MAX_KNOTS = 2**24


def along_axis(
    x: Float[Tensor, "*N"], num_knots: int, padding: Padding = "border", periodic: bool = False
) -> tuple[Pair, Pair]:
    """Numbers of the two knots beside places along one axis, and their weights.

    Args:
        x: In [-1, 1]; places beyond are as ``padding`` says.
        num_knots: Along this axis.
        padding: "border" repeats the last knot, "zeros" fades to zero within one spacing.
        periodic: Whether the axis is a circle, on which no place lies beyond.
    """
    if periodic:
        position = (x + 1) / 2 * num_knots
        position = position - num_knots * (position / num_knots).detach().floor()
        lower = position.detach().floor()
        fraction = position - lower
        first = lower.long() % num_knots  # rounding can bring a place just below the seam onto it
        return (first, (first + 1) % num_knots), (1 - fraction, fraction)
    last = num_knots - 1
    position = (x + 1) / 2 * last
    if padding == "border":
        position = position.clamp(0, last)
        # The end is the whole of the last knot. NaN has a knot, too: it comes out through the weights.
        lower = position.detach().floor().long().clamp(0, max(last - 1, 0))
        fraction = position - lower
        return (lower, (lower + 1).clamp(max=last)), (1 - fraction, fraction)
    position = position.clamp(-1, num_knots)  # all beyond is zero
    lower = position.detach().floor()
    fraction = position - lower
    knots = lower.long(), lower.long() + 1
    inside = [(knot >= 0) & (knot <= last) for knot in knots]
    weights = (1 - fraction) * inside[0], fraction * inside[1]
    return (knots[0].clamp(0, last), knots[1].clamp(0, last)), weights


def read_line(
    values: Float[Tensor, "*B T C"], t: Float[Tensor, "*B S"], padding: Padding = "border", periodic: bool = False
) -> Float[Tensor, "*B S C"]:
    """Grids along one axis, one for every sample, read at places of their own.

    Args:
        values: Of the knots.
        t: In [-1, 1].
        padding: As for `along_axis`.
        periodic: As for `along_axis`.
    """
    knots, weights = along_axis(_precise(t), values.shape[-2], padding, periodic)
    found = [values.gather(-2, repeat(knot, "... s -> ... s c", c=values.shape[-1])) for knot in knots]
    return sum(w.to(values.dtype)[..., None] * value for w, value in zip(weights, found, strict=True))


def _precise(coords: Tensor) -> Tensor:
    """Places in half precision would miss their knots."""
    return coords.to(torch.promote_types(coords.dtype, torch.float32))


def _corners(
    coords: Tensor, shape: Sequence[int], padding: Padding, periodic: Sequence[bool]
) -> tuple[Int64[Tensor, " K *N"], Float[Tensor, " K *N"]]:
    """Knots around points as rows of the flat grid, and their weights."""
    axes = zip(coords.unbind(-1), shape, periodic, strict=True)
    found = [along_axis(x, n, padding, around) for x, n, around in axes]
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    rows = [tuple(knot * stride for knot in knots) for (knots, _), stride in zip(found, strides, strict=True)]
    index = [sum(shares) for shares in product(*rows)]
    weight = [reduce(torch.mul, shares) for shares in product(*(weights for _, weights in found))]
    return torch.stack(index), torch.stack(weight)


class CoordGrid(nn.Module):
    """A grid of values over 1 to 3 coordinates, linear between its knots (CAM, Lee et al. 2024).

    It is read in the precision of its values, whatever autocast says.

    Args:
        shape: Knots per axis, first axis first; an axis of one knot is constant.
        num_channels: 1, or one grid per feature.
        initial: What all knots start at.
        padding: Beyond the knots: "border" repeats the last, "zeros" fades to zero within one spacing.
        periodic: Per axis, whether it is a circle; None is none.
        quantiser: What the values go through before they are read; None is nothing.

    Raises:
        InputError: If the axes are not 1 to 3 of at least one knot, or settings of axes do not fit them.
    """

    grid_parameters = ("values",)

    def __init__(
        self,
        shape: Sequence[int],
        num_channels: int = 1,
        initial: float = 0.0,
        padding: Padding = "border",
        periodic: Sequence[bool] | None = None,
        quantiser: nn.Module | None = None,
    ) -> None:
        super().__init__()
        shape = tuple(shape)
        if not 1 <= len(shape) <= 3 or min(shape) < 1 or num_channels < 1 or math.prod(shape) > MAX_KNOTS:
            raise InputError(
                f"grid of shape {shape} and {num_channels} channels: give 1 to 3 axes of at least one knot, "
                f"{MAX_KNOTS} in all at most, and at least one channel"
            )
        self.periodic = (False,) * len(shape) if periodic is None else tuple(periodic)
        if len(self.periodic) != len(shape):
            raise InputError(f"periodic {self.periodic}: give one value for each of {len(shape)} axes")
        self.padding, self.quantiser = padding, quantiser
        self.values = nn.Parameter(torch.full((num_channels, *shape), float(initial)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Knots per axis."""
        return tuple(self.values.shape[1:])

    def knots(self) -> Float[Tensor, "C ..."]:
        """The values that are read: the parameters, quantised where so set."""
        return self.values if self.quantiser is None else self.quantiser(self.values)

    def forward(self, coords: Float[Tensor, "*N D"]) -> Float[Tensor, "*N C"]:
        """Values at points.

        Args:
            coords: In [-1, 1], first axis first.

        Raises:
            InputError: If they are not of the grid's axes, or, on the host, some are not finite.
        """
        return read_together((self,), coords)[0]

    def extra_repr(self) -> str:
        return f"shape={self.shape}, num_channels={len(self.values)}, padding={self.padding}, periodic={self.periodic}"


def read_together(grids: Sequence[CoordGrid], coords: Float[Tensor, "*N D"]) -> list[Float[Tensor, "*N C"]]:
    """Values of grids of the same knots at the same points, whose places are found once.

    Args:
        grids: Alike but for their values and quantisers.
        coords: In [-1, 1], first axis first.

    Raises:
        InputError: If the coordinates are not of the grids' axes, or some are not finite. The latter on the host alone:
            elsewhere asking would make it wait, so values at NaN are NaN, and infinity lies beyond the knots.
    """
    first = grids[0]
    if coords.shape[-1] != len(first.shape):
        raise InputError(f"coordinates of {coords.shape[-1]} axes: this grid has {len(first.shape)}")
    if coords.device.type == "cpu" and not coords.isfinite().all():
        raise InputError("coordinates that are NaN or infinite: grids are read at finite coordinates only")
    index, weight = _corners(_precise(coords), first.shape, first.padding, first.periodic)
    table = torch.cat([rearrange(grid.knots(), "c ... -> (...) c") for grid in grids], dim=1)
    found = read_weighted(table, index.flatten(1), weight.to(table.dtype).flatten(1))
    found = found.reshape(*coords.shape[:-1], table.shape[1])
    return list(found.split([len(grid.values) for grid in grids], dim=-1))
