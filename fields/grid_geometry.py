"""Grids of several resolutions over the unit cube: their sizes, and which vertices a point lies between.

The semantics are those of tiny-cuda-nn (Mueller 2021), whose grids NVP and Instant-NGP are made of. Vertex k of an axis
lies at ``(k - 0.5) / scale``: the levels are staggered, and their vertices are no pixels or corners of the cube. The
first axis is the fastest in memory. Near the far border the upper neighbour of a point may be the vertex after the
last one. Its index runs on into the next row, or round to the beginning of the table: "wrap".

Shape legend
    N       points
    D       axes
    K       corners of a cell, ``2^D``; bit d of a corner's number says whether it is the upper one along axis d
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from errors import InputError
from fields.hash_grid import PRIMES, UINT32, spatial_hash

MAX_LEVELS = 64  # far more than any grid has; a config from elsewhere may ask for anything
STORAGES = ("dense", "hash", "tiled")
INTERPOLATIONS = ("linear", "smoothstep", "nearest")
BORDERS = ("wrap", "clamp")
MAX_ENTRIES = 2**30  # of all levels together: twice of it still is an int32


@dataclass(frozen=True)
class Level:
    """One resolution.

    Attributes:
        scale: Spacings of vertices per unit, per axis.
        shift: Of the position of a point, in spacings, per axis.
        resolution: Vertices per axis.
        offset: Where its table begins in the table of all levels.
        size: Entries of its table.
        hashed: Vertices are found by their hash; else by their place.
    """

    scale: tuple[float, ...]
    shift: tuple[float, ...]
    resolution: tuple[int, ...]
    offset: int
    size: int
    hashed: bool

    @property
    def strides(self) -> tuple[int, ...]:
        """Entries between neighbours, per axis, before tables are wrapped; unsigned numbers of 32 bits."""
        return tuple(accumulate(self.resolution[:-1], lambda product, n: product * n & UINT32, initial=1))


def level_scales(levels: int, base: int, growth: float) -> list[float]:
    """``2^(l log2 growth) base - 1`` of every level, rounded as float32 at each step.

    Args:
        levels: Number of levels.
        base: Vertices along an axis of the coarsest.
        growth: Ratio of neighbouring levels.
    """
    octaves = np.arange(levels, dtype=np.float32) * np.log2(np.float32(growth))
    return (np.exp2(octaves) * np.float32(base) - np.float32(1)).tolist()


def make_levels(
    dims: int,
    levels: int,
    base: int,
    growth: float,
    storage: str = "dense",
    log2_table: int = 19,
    align: int = 1,
    max_resolution: Sequence[int] | None = None,
) -> tuple[Level, ...]:
    """The levels of a grid, coarsest first.

    Args:
        dims: Axes.
        levels: Number of levels.
        base: Vertices along an axis of the coarsest.
        growth: Ratio of neighbouring levels, at least 1.
        storage: "dense" keeps every vertex; "hash" at most ``2^log2_table`` entries per level; "tiled" at most
            ``base^dims``, repeated over space.
        log2_table: For "hash".
        align: Tables have a multiple of so many entries: 1 in NVP, 8 in tiny-cuda-nn.
        max_resolution: No level has more vertices along an axis; None is no limit. Where an axis is cut to n vertices,
            these lie at ``k / (n - 1)``: a grid as fine as the video has a vertex at every pixel.

    Raises:
        InputError: A setting is out of range, or the grid has more than 2^30 entries.
    """
    _check(dims, levels, base, growth, storage, log2_table, align, max_resolution)
    made: list[Level] = []
    offset = 0
    for scale in level_scales(levels, base, growth):
        resolution = math.ceil(scale) + 1
        limits = [min(resolution, int(n)) for n in max_resolution or [resolution] * dims]
        cut = [n < resolution for n in limits]
        dense = math.prod(limits)
        size = -(-dense // align) * align
        if storage != "dense":
            size = min(size, 2**log2_table if storage == "hash" else base**dims)
        scales = tuple(float(n - 1) if is_cut else scale for n, is_cut in zip(limits, cut, strict=True))
        shifts = tuple(0.0 if is_cut else 0.5 for is_cut in cut)
        made.append(Level(scales, shifts, tuple(limits), offset, size, storage == "hash" and size < dense))
        offset += size
        if offset > MAX_ENTRIES:
            raise InputError(
                f"grid: level {len(made)} of {levels} makes it {offset} entries, more than {MAX_ENTRIES}: give fewer "
                "levels, or a smaller base or growth"
            )
    return tuple(made)


def _check(
    dims: int,
    levels: int,
    base: int,
    growth: float,
    storage: str,
    log2_table: int,
    align: int,
    max_resolution: Sequence[int] | None,
) -> None:
    if not 1 <= dims <= len(PRIMES):
        raise InputError(f"dims {dims}: grids have 1 to {len(PRIMES)} axes")
    if levels > MAX_LEVELS:
        raise InputError(f"levels {levels}: give at most {MAX_LEVELS}")
    if levels < 1 or base < 1 or not 1 <= growth < math.inf or align < 1:
        raise InputError(f"levels {levels}, base {base}, growth {growth}, align {align}: give at least 1 of each")
    if storage not in STORAGES:
        raise InputError(f"storage {storage!r}: give one of {', '.join(STORAGES)}")
    if not 0 <= log2_table <= 30:
        raise InputError(f"log2_table {log2_table}: give 0 to 30")
    if max_resolution is not None and (len(max_resolution) != dims or min(max_resolution) < 1):
        raise InputError(f"max_resolution {tuple(max_resolution)}: give {dims} numbers of at least 1, one per axis")


def positions(x: Float[Tensor, "*N"], scale: Tensor, shift: Tensor) -> tuple[Float32[Tensor, "..."], Tensor]:
    """Cells and places inside of them, ``scale x + shift``, rounded to float32 once as a fused multiply-add does.

    Args:
        x: In [0, 1].
        scale: In float64; broadcast against ``x``.
        shift: In float64.
    """
    p = (x.double() * scale + shift).float()
    cell = p.detach().floor()
    return cell, p - cell


def smoothstep(f: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """``f^2 (3 - 2 f)``: from 0 to 1 with no slope at both ends."""
    return f * f * (3 - 2 * f)


def corners(
    points: Float[Tensor, "N D"], level: Level, interpolation: str = "linear", border: str = "wrap"
) -> tuple[Int64[Tensor, "N corners"], Float32[Tensor, "N corners"]]:
    """Entries of one level's table that a point reads, and their weights; the readable reference.

    Args:
        points: In [0, 1].
        level: Which.
        interpolation: "linear" or "smoothstep" between the 2^D corners of the cell; "nearest" reads the lowest alone.
        border: What stands for the vertex after the last: "wrap" as in tiny-cuda-nn, "clamp" the last one.
    """
    scale, shift = (points.new_tensor(values, dtype=torch.float64) for values in (level.scale, level.shift))
    cell, fraction = positions(points, scale, shift)
    fraction = smoothstep(fraction) if interpolation == "smoothstep" else fraction
    indices, weights = [], []
    for corner in range(1 if interpolation == "nearest" else 2 ** points.shape[-1]):
        upper = torch.tensor([corner >> axis & 1 for axis in range(points.shape[-1])], device=points.device)
        indices.append(entries(cell.long() + upper, level, border))
        weights.append(torch.where(upper.bool(), fraction, 1 - fraction).prod(dim=-1))
    weight = torch.stack(weights, dim=-1)
    return torch.stack(indices, dim=-1), torch.ones_like(weight) if interpolation == "nearest" else weight


def entries(vertices: Int64[Tensor, "N D"], level: Level, border: str = "wrap") -> Int64[Tensor, " N"]:
    """Where vertices are in their level's table.

    Args:
        vertices: Numbers along each axis, at most one after the last.
        level: Which.
        border: As for `corners`.
    """
    if border == "clamp":
        vertices = vertices.minimum(vertices.new_tensor(level.resolution) - 1)
    if level.hashed:
        return spatial_hash(vertices, level.size)
    # As unsigned 32-bit arithmetic: indices of tiled tables may exceed it.
    return ((vertices * vertices.new_tensor(level.strides)).sum(dim=-1) & UINT32) % level.size
