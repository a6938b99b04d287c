"""Features on grids of several resolutions, dense or hashed, read between their vertices.

The grid of tiny-cuda-nn (Mueller 2021) in plain PyTorch, on any device, with the same values in the same order, so that
its parameters can be taken over. NVP's latent keyframes (Kim et al., NeurIPS 2022) are dense grids of two axes, and
Instant-NGP (Mueller et al., SIGGRAPH 2022) is a hashed one of three.

Shape legend
    N       points
    D       axes; the first is the fastest in memory
    L       levels
    K       corners of a cell
    V       entries of all tables together
    C       features per level
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.grid_corners import all_corners
from fields.grid_geometry import BORDERS, INTERPOLATIONS, corners, make_levels
from fields.table_reading import groups_last, read_weighted


class MultiResGrid(nn.Module):
    """Features at points of the unit cube, those of all levels side by side, coarsest first.

    Derivatives of any order by the features and by the points, by either backend.

    Args:
        dims: Axes of a point.
        levels: Number of levels.
        base: Vertices along an axis of the coarsest level.
        growth: Ratio of neighbouring levels.
        features: Per level.
        storage: "dense", "hash" or "tiled", see `make_levels`.
        log2_table: Of the entries of a hashed level.
        align: Tables have a multiple of so many entries: 1 in NVP, 8 in tiny-cuda-nn.
        interpolation: "linear", "smoothstep" or "nearest".
        border: What stands for the vertex after the last: "wrap" as in tiny-cuda-nn, "clamp" the last one.
        max_resolution: No level has more vertices along an axis; None is no limit.
        backend: "torch" reads all levels at once; "loop" one after the other, as one would write it down.
    """

    grid_parameters = ("table",)

    def __init__(
        self,
        dims: int,
        levels: int = 16,
        base: int = 16,
        growth: float = 1.35,
        features: int = 2,
        storage: str = "dense",
        log2_table: int = 19,
        align: int = 1,
        interpolation: str = "linear",
        border: str = "wrap",
        max_resolution: Sequence[int] | None = None,
        backend: str = "torch",
    ) -> None:
        super().__init__()
        for name, value, known in (
            ("interpolation", interpolation, INTERPOLATIONS),
            ("border", border, BORDERS),
            ("backend", backend, BACKENDS),
        ):
            if value not in known:
                raise InputError(f"{name} {value!r}: give one of {', '.join(known)}")
        if features < 1:
            raise InputError(f"features {features}: give at least 1 per level")
        self.levels = make_levels(dims, levels, base, growth, storage, log2_table, align, max_resolution)
        self.dims, self.interpolation, self.border, self.backend = dims, interpolation, border, backend
        self.out_dim = levels * features
        self.table = nn.Parameter(torch.empty(sum(level.size for level in self.levels), features))
        nn.init.uniform_(self.table, -1e-4, 1e-4)

    def forward(self, points: Float[Tensor, "N D"]) -> Float[Tensor, "N out_dim"]:
        """Features at points.

        Args:
            points: In [0, 1], first axis first; beyond the cube, that of its border.
        """
        return BACKENDS[self.backend](self, points.clamp(0, 1))

    def on_mesh(self, axes: Sequence[Float[Tensor, " _"]]) -> Float[Tensor, "... out_dim"]:
        """Features at every point of a mesh, the vertices found once per axis.

        Args:
            axes: Coordinates along each axis; the result has these axes in the same order.
        """
        places = [x.clamp(0, 1).reshape([-1 if i == d else 1 for i in range(self.dims)]) for d, x in enumerate(axes)]
        return _read_all(self, places)

    def flat(self) -> Float[Tensor, " VC"]:
        """The parameters as the one vector that tiny-cuda-nn has: level, then entry, then feature."""
        return self.table.detach().reshape(-1).clone()

    def load_flat(self, vector: Float[Tensor, " VC"]) -> None:
        """Takes over the parameters of a grid of tiny-cuda-nn with the same settings.

        Args:
            vector: As `flat` gives it.

        Raises:
            InputError: It has another length.
        """
        if vector.numel() != self.table.numel():
            raise InputError(f"grid: {vector.numel()} parameters are given, these settings ask {self.table.numel()}")
        with torch.no_grad():
            self.table.copy_(vector.reshape(self.table.shape))

    def level_tables(self) -> list[Float[Tensor, "size C"]]:
        """The tables of the levels, coarsest first: views of the parameters."""
        return list(self.table.split([level.size for level in self.levels]))


def _read_each(grid: MultiResGrid, points: Tensor) -> Tensor:
    """The readable reference: level by level, the corners' features times their weights."""
    found = []
    for level, table in zip(grid.levels, grid.level_tables(), strict=True):
        index, weight = corners(points, level, grid.interpolation, grid.border)
        found.append((table[index] * weight[..., None].to(table.dtype)).sum(dim=-2))
    return torch.cat(found, dim=-1)


def _read_points(grid: MultiResGrid, points: Tensor) -> Tensor:
    return _read_all(grid, list(points.unbind(dim=-1)))


def _read_all(grid: MultiResGrid, places: Sequence[Tensor]) -> Tensor:
    """Features of all levels in one reading.

    Args:
        grid: Read.
        places: Coordinates along each axis in [0, 1]; together they broadcast to the shape of the result.
    """
    index, weight = all_corners(places, grid.levels, grid.interpolation, grid.border)
    return groups_last(read_weighted(grid.table, index, weight))


BACKENDS: dict[str, Callable[[MultiResGrid, Tensor], Tensor]] = {"torch": _read_points, "loop": _read_each}
