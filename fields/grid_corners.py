"""The corners of the cells that points lie in, of all levels of a grid at once, and for meshes once per axis.

The same entries and weights as `grid_geometry.corners` gives level by level. An axis' share of an index and of a weight
is found for each axis alone, and only these shares meet at the corners.

Shape legend
    *N      points, or the shape of a mesh
    L       levels
    K       corners of a cell, or 1; bit d of a corner's number says whether it is the upper one along axis d
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from fields.grid_geometry import Level, positions, smoothstep
from fields.hash_grid import PRIMES, UINT32


def _at_corners(shares: Sequence[Tensor], join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """``[*N, L, K]``: what the lower and upper vertex of every axis ``[..., L, 2]`` give together at each corner."""
    return reduce(lambda lower, share: join(share[..., :, None], lower[..., None, :]).flatten(-2), shares)


def _places_in_tables(vertices: Sequence[Tensor], levels: Sequence[Level], border: str) -> Tensor:
    """Entries by place, in each level's own table."""
    strides = vertices[0].new_tensor([level.strides for level in levels])
    index = _at_corners(
        [vertex * stride[:, None] for vertex, stride in zip(vertices, strides.T, strict=True)], operator.add
    )
    highest = [_highest(level, border) for level in levels]
    sizes = index.new_tensor([level.size for level in levels])[:, None]
    if all(top < level.size for top, level in zip(highest, levels, strict=True)):
        return index
    if all(top < 2 * level.size for top, level in zip(highest, levels, strict=True)):
        return torch.where(index < sizes, index, index - sizes)  # a tenth of the time of a division
    return (index & UINT32) % sizes


def _highest(level: Level, border: str) -> int:
    """The largest index that a corner can have before the table is wrapped."""
    last = int(border == "clamp")
    return sum((n - last) * stride for n, stride in zip(level.resolution, level.strides, strict=True))


def _hashes(vertices: Sequence[Tensor], levels: Sequence[Level]) -> Tensor:
    """Entries by hash, in each level's own table."""
    shares = [vertex * prime for vertex, prime in zip(vertices, PRIMES, strict=False)]
    sizes = vertices[0].new_tensor([level.size for level in levels])[:, None]
    return (_at_corners(shares, operator.xor) & UINT32) % sizes


def _along_axes(
    places: Sequence[Tensor], levels: Sequence[Level], interpolation: str, border: str
) -> tuple[list[Tensor], list[Tensor]]:
    """Numbers of the lower and upper vertex of every axis ``[..., L, 2]``, and their weights."""
    small = max(_highest(level, border) for level in levels) < 2**31 and not any(level.hashed for level in levels)
    dtype = torch.int32 if small else torch.int64
    geometry = places[0].new_tensor([(*level.scale, *level.shift) for level in levels], dtype=torch.float64).T
    scales, shifts = geometry.split(len(places))
    lasts = places[0].new_tensor([level.resolution for level in levels], dtype=dtype).T - 1
    vertices, weights = [], []
    for x, scale, shift, last in zip(places, scales, shifts, lasts, strict=True):
        cell, fraction = positions(x[..., None], scale, shift)
        lower = cell.to(dtype)[..., None]
        if interpolation == "nearest":
            vertices.append(lower)
            weights.append(torch.ones_like(fraction)[..., None])
            continue
        fraction = smoothstep(fraction) if interpolation == "smoothstep" else fraction
        pair = torch.cat((lower, lower + 1), dim=-1)
        vertices.append(pair.minimum(last[:, None]) if border == "clamp" else pair)
        weights.append(torch.stack((1 - fraction, fraction), dim=-1))
    return vertices, weights


def all_corners(
    places: Sequence[Float[Tensor, "..."]], levels: Sequence[Level], interpolation: str = "linear", border: str = "wrap"
) -> tuple[Int[Tensor, "*N L K"], Float32[Tensor, "*N L K"]]:
    """Entries of the table of all levels that points read, and their weights.

    Args:
        places: Coordinates along each axis in [0, 1]; broadcast against each other they have the shape of the points.
        levels: Coarsest first.
        interpolation: As for `grid_geometry.corners`.
        border: As for `grid_geometry.corners`.
    """
    vertices, weights = _along_axes(places, levels, interpolation, border)
    num_placed = sum(not level.hashed for level in levels)  # hashed levels are finer than all others
    parts = []
    if num_placed:
        placed = [vertex[..., :num_placed, :] for vertex in vertices]
        parts.append(_places_in_tables(placed, levels[:num_placed], border))
    if num_placed < len(levels):
        parts.append(_hashes([vertex[..., num_placed:, :] for vertex in vertices], levels[num_placed:]))
    index = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)
    offsets = index.new_tensor([level.offset for level in levels])[:, None]
    return index + offsets, _at_corners(weights, operator.mul)
