"""The sparse positional features of NVP: a grid over a video whose cells are looked up with neighbours, as they are.

Shape legend
    N       points
    T, Y, X cells along time and the sides
    D       features of a cell
    S, A, B cells of a neighbourhood along time and the sides
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int64
from torch import Tensor, nn

from errors import InputError
from fields.grid_geometry import MAX_ENTRIES
from fields.table_reading import groups_last, read_rows


def nearest_cell(x: Float[Tensor, "*N"], num_cells: int) -> Int64[Tensor, "*N"]:
    """The cell that a place is nearest to; of two equally near, the upper.

    Args:
        x: In [0, 1]; the first cell lies at 0, the last at 1.
        num_cells: Along this axis.
    """
    return (x * (num_cells - 1) + 0.5).long()


def neighbours(number: Int64[Tensor, "*N"], reach: int, num_cells: int) -> Int64[Tensor, " reach *N"]:
    """Cells around a cell along one axis; beyond the border, the last again.

    Args:
        number: Of the cell in the middle.
        reach: How many cells, odd.
        num_cells: Along this axis.
    """
    steps = [(number + step).clamp(0, num_cells - 1) for step in range(-(reach // 2), reach // 2 + 1)]
    return torch.stack(steps)


class SparseGrid3D(nn.Module):
    """The features of the nearest cell and of its neighbours, side by side (NVP, Kim et al. 2022, section 3.1).

    The first and last cell of an axis lie at 0 and 1. Neighbours beyond the border are the last cell again. Features
    are constant between cells, so that they have no derivative by the points, except in time where they are blended.

    Args:
        shape: Cells along time, y and x.
        features: Of a cell.
        neighbourhood: Cells along time, y and x that are read together, odd numbers.
        upsample: Cells are magnified to twice as many along both sides, linearly, before they are looked up.
    """

    grid_parameters = ("embeddings",)

    def __init__(
        self,
        shape: Sequence[int],
        features: int = 2,
        neighbourhood: Sequence[int] = (1, 3, 3),
        upsample: bool = False,
    ) -> None:
        super().__init__()
        if len(shape) != 3 or min(shape) < 1 or features < 1:
            raise InputError(f"shape {tuple(shape)} of {features} features: give cells along time, y and x")
        if len(neighbourhood) != 3 or any(n < 1 or n % 2 == 0 for n in neighbourhood):
            raise InputError(f"neighbourhood {tuple(neighbourhood)}: give odd numbers of cells along time, y and x")
        if shape[0] * shape[1] * shape[2] > MAX_ENTRIES:
            raise InputError(f"sparse grid: shape {tuple(shape)}: more than {MAX_ENTRIES} cells: give a smaller one")
        self.neighbourhood, self.upsample = tuple(neighbourhood), upsample
        self.out_dim = features * neighbourhood[0] * neighbourhood[1] * neighbourhood[2]
        self.embeddings = nn.Parameter(torch.empty(*shape, features))
        nn.init.uniform_(self.embeddings, -1e-4, 1e-4)

    def cells(self) -> Float[Tensor, "T Y X D"]:
        """The cells that are looked up: the parameters, magnified where so set."""
        if not self.upsample:
            return self.embeddings
        pictures = rearrange(self.embeddings, "t y x d -> d t y x")
        return rearrange(F.interpolate(pictures, scale_factor=2, mode="bilinear"), "d t y x -> t y x d")

    def forward(self, points: Float[Tensor, "N 3"], blend_time: bool = False) -> Float[Tensor, "N out_dim"]:
        """Features at points, in the order of time, y and x of the neighbours.

        Args:
            points: (t, y, x) in [0, 1]; beyond, that of the border.
            blend_time: Blend linearly between two slices, for moments between frames; else read the nearest.
        """
        return self._read(points.clamp(0, 1).unbind(dim=-1), blend_time)

    def on_mesh(self, axes: Sequence[Float[Tensor, " _"]], blend_time: bool = False) -> Float[Tensor, "F h w out_dim"]:
        """Features at every point of a mesh, the cells found once per axis.

        Args:
            axes: Moments, y of rows and x of columns.
            blend_time: As for `forward`.
        """
        places = [x.clamp(0, 1).reshape([-1 if i == d else 1 for i in range(3)]) for d, x in enumerate(axes)]
        return self._read(places, blend_time)

    def _read(self, places: Sequence[Tensor], blend_time: bool) -> Tensor:
        """Features at places along each axis, which are broadcast against each other."""
        cells = self.cells()
        numbers = [nearest_cell(x, n) for x, n in zip(places, cells.shape[:3], strict=True)]
        if not blend_time:
            return self._around(cells, numbers)
        position = places[0] * (len(cells) - 1)
        lower = position.detach().floor()
        earlier, later = (self._around(cells, [(lower + step).long(), *numbers[1:]]) for step in (0, 1))
        # The original divides zero by zero on the last slice; here the weight of the slice after it is 0.
        return torch.lerp(earlier, later, (position - lower)[..., None].to(earlier.dtype))

    def _around(self, cells: Tensor, numbers: Sequence[Tensor]) -> Tensor:
        """Features of cells and their neighbours, by the numbers of the cells along each axis."""
        t, y, x = (
            neighbours(number, reach, n)
            for number, reach, n in zip(numbers, self.neighbourhood, cells.shape[:3], strict=True)
        )
        in_slice = y[:, None] * cells.shape[2] + x[None]
        index = t[:, None, None] * (cells.shape[1] * cells.shape[2]) + in_slice[None]
        return groups_last(read_rows(cells.flatten(0, 2), index.flatten(0, 2)))
