"""Which numbers of a field share a step, and which of them lie side by side in pictures.

A group is a channel of a level of a plane, a channel of a volume, or a weight or bias of a layer as a whole.

Shape legend
    R       rows of a tensor seen as a matrix: entries of all levels, cells, or all numbers
    C       columns of it: channels, or one
    G       groups: levels times channels
    K       pictures of a stack: slices times channels, the channels of a slice side by side
    H, W    height and width of a picture
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Shaped
from torch import Tensor, nn

from fields.grids import MultiResGrid
from fields.sparse_grid import SparseGrid3D


@dataclass(frozen=True)
class Grouping:
    """The groups of one tensor.

    Attributes:
        name: Of the tensor.
        shape: Of the tensor.
        sizes: Rows of the matrix that belong together, in order.
        channels: Columns of the matrix.
        pictures: Slices, height and width of each of these parts; None where neighbours have nothing in common.
        is_volume: Whether slices may be wanted one by one.
    """

    name: str
    shape: tuple[int, ...]
    sizes: tuple[int, ...]
    channels: int = 1
    pictures: tuple[tuple[int, int, int], ...] | None = None
    is_volume: bool = False

    @property
    def count(self) -> int:
        """Number of groups: those of the channels side by side, level after level."""
        return len(self.sizes) * self.channels

    def matrix(self, tensor: Shaped[Tensor, "..."]) -> Shaped[Tensor, "R C"]:
        """The tensor as a matrix."""
        return tensor.reshape(-1, self.channels)

    def spread(self, values: Shaped[Tensor, " G"]) -> Shaped[Tensor, "R_or_1 C"]:
        """A number per group where it is needed: for every entry, or in one row where all rows are one group."""
        table = rearrange(values, "(l c) -> l c", c=self.channels)
        if len(self.sizes) == 1:
            return table
        return torch.cat([row.expand(size, -1) for row, size in zip(table.split(1), self.sizes, strict=True)])

    def stacks(self, matrix: Shaped[Tensor, "R C"]) -> list[Shaped[Tensor, "_ _ _"]]:
        """The pictures ``[K, H, W]`` of every level, of a tensor that has them."""
        shapes = zip(matrix.split(list(self.sizes)), self.pictures or (), strict=True)
        return [rearrange(level, "(t h w) c -> (t c) h w", t=t, h=h, w=w) for level, (t, h, w) in shapes]

    def unstack(self, stacks: Sequence[Shaped[Tensor, "_ _ _"]]) -> Shaped[Tensor, "R C"]:
        """The matrix of pictures that `stacks` gave."""
        return torch.cat([rearrange(stack, "(t c) h w -> (t h w) c", c=self.channels) for stack in stacks])


def groupings(field: nn.Module) -> tuple[Grouping, ...]:
    """Groups of all parameters of a field, in their order.

    Args:
        field: On any device, "meta" too.
    """
    grids: dict[str, Grouping] = {}
    for prefix, module in field.named_modules():
        dot = f"{prefix}." if prefix else ""
        if isinstance(module, MultiResGrid):
            grids[f"{dot}table"] = _of_levels(f"{dot}table", module)
        elif isinstance(module, SparseGrid3D):
            grids[f"{dot}embeddings"] = _of_volume(f"{dot}embeddings", module)
    shapes = {name: tuple(tensor.shape) for name, tensor in field.named_parameters()}
    return tuple(grids.get(name) or Grouping(name, shape, (shape_size(shape),)) for name, shape in shapes.items())


def shape_size(shape: Sequence[int]) -> int:
    """Numbers of a tensor of this shape."""
    return torch.Size(shape).numel()


def _of_levels(name: str, grid: MultiResGrid) -> Grouping:
    sizes, shape = tuple(level.size for level in grid.levels), tuple(grid.table.shape)
    if any(len(one.resolution) != 2 or one.size != one.resolution[0] * one.resolution[1] for one in grid.levels):
        return Grouping(name, shape, sizes, shape[1])
    return Grouping(name, shape, sizes, shape[1], tuple((1, *level.resolution[::-1]) for level in grid.levels))


def _of_volume(name: str, grid: SparseGrid3D) -> Grouping:
    slices, height, width, channels = shape = tuple(grid.embeddings.shape)
    return Grouping(name, shape, (slices * height * width,), channels, ((slices, height, width),), True)
