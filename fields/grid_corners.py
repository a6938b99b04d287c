"""The corners of the cells that points lie in, of all levels of a grid at once, and for meshes once per axis.

The same entries and weights as `grid_geometry.corners` gives level by level. An axis' share of an index and of a weight
is found for each axis alone, and only these shares meet at the corners. Points are the last axes throughout, as long
rows of numbers are what processors are fast at.

Shape legend
    *N      points, or the shape of a mesh
    L       levels
    K       corners of a cell, or 1; bit d of a corner's number says whether it is the upper one along axis d
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import product

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from fields.grid_geometry import Level, positions, smoothstep
from fields.hash_grid import PRIMES, UINT32

Pair = tuple[Tensor, ...]  # of the lower and the upper vertex, or of the lower alone


def _per_level(values: Sequence[float], like: Tensor) -> Tensor:
    """A number per level ``[L, 1, ...]`` to be broadcast against ``like``, ``[L, ...]``."""
    return like.new_tensor(values).reshape(-1, *[1] * (like.ndim - 1))


def _of_levels(pairs: Sequence[Pair], part: slice) -> list[Pair]:
    return [tuple(one[part] for one in pair) for pair in pairs]


def _along(axis: int, x: Tensor, levels: Sequence[Level], interpolation: str, border: str) -> tuple[Pair, Pair]:
    """Numbers ``[L, ...]`` of the vertices beside places along one axis, and their weights."""
    x = x.double()[None]
    scale = _per_level([level.scale[axis] for level in levels], x)
    shift = _per_level([level.shift[axis] for level in levels], x)
    cell, fraction = positions(x, scale, shift)
    lower = cell.long()
    if interpolation == "nearest":
        return (lower,), (torch.ones_like(fraction),)
    fraction = smoothstep(fraction) if interpolation == "smoothstep" else fraction
    upper = lower + 1
    if border == "clamp":
        last = _per_level([level.resolution[axis] - 1 for level in levels], lower)
        lower, upper = lower.minimum(last), upper.minimum(last)
    return (lower, upper), (1 - fraction, fraction)


def _at_corners(pairs: Sequence[Pair], join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """``[K, L, *N]``: the shares of all axes together, at every corner."""
    corners = product(*reversed(pairs))  # the last of a product is the fastest, here the first axis
    joined = [reduce(join, reversed(shares)) for shares in corners]
    return torch.stack(joined)


def _highest(level: Level, border: str) -> int:
    """The largest index that a corner can have before the table is wrapped."""
    last = int(border == "clamp")
    return sum((n - last) * stride for n, stride in zip(level.resolution, level.strides, strict=True))


def _places_in_tables(vertices: Sequence[Pair], levels: Sequence[Level], border: str) -> Tensor:
    """Entries by place, in each level's own table."""
    shares = []
    for axis, pair in enumerate(vertices):
        stride = _per_level([level.strides[axis] for level in levels], pair[0])
        shares.append(pair if axis == 0 else tuple(one * stride for one in pair))
    index = _at_corners(shares, operator.add)
    sizes = [level.size for level in levels]
    highest = [_highest(level, border) for level in levels]
    if all(top < size for top, size in zip(highest, sizes, strict=True)):
        return index
    size = _per_level(sizes, index[0])
    if all(top < 2 * size for top, size in zip(highest, sizes, strict=True)):
        return torch.where(index < size, index, index - size)  # a fraction of the time of a division
    return (index & UINT32) % size


def _hashes(vertices: Sequence[Pair], levels: Sequence[Level]) -> Tensor:
    """Entries by hash, in each level's own table."""
    shares = [tuple(one * prime for one in pair) for pair, prime in zip(vertices, PRIMES, strict=False)]
    index = _at_corners(shares, operator.xor) & UINT32
    return index % _per_level([level.size for level in levels], index[0])


def all_corners(
    places: Sequence[Float[Tensor, "..."]], levels: Sequence[Level], interpolation: str = "linear", border: str = "wrap"
) -> tuple[Int64[Tensor, "K L *N"], Float32[Tensor, "K L *N"]]:
    """Entries of the table of all levels that points read, and their weights.

    Args:
        places: Coordinates along each axis in [0, 1]; broadcast against each other they have the shape of the points.
        levels: Coarsest first.
        interpolation: As for `grid_geometry.corners`.
        border: As for `grid_geometry.corners`.
    """
    along = [_along(axis, x, levels, interpolation, border) for axis, x in enumerate(places)]
    vertices, weights = ([pairs[kind] for pairs in along] for kind in (0, 1))
    num_placed = sum(not level.hashed for level in levels)  # hashed levels are finer than all others
    parts = []
    if num_placed:
        parts.append(_places_in_tables(_of_levels(vertices, slice(num_placed)), levels[:num_placed], border))
    if num_placed < len(levels):
        parts.append(_hashes(_of_levels(vertices, slice(num_placed, None)), levels[num_placed:]))
    index = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
    index += _per_level([level.offset for level in levels], index[0])
    return index, _at_corners(weights, operator.mul)
