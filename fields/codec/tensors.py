"""Tensors of a field in pieces: which are grids and how these are cut, and the bytes of all others.

Shape legend
    V       entries of all levels together
    C       channels
    R       channels of all levels together
    T, Y, X cells of a volume along time and the sides
    K       pictures of a piece
    H, W    height and width of a piece
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor, nn

from errors import InputError
from fields.codec.pictures import are_pictures, inflate
from fields.grid_geometry import Level
from fields.grids import MultiResGrid
from fields.interface import ranges
from fields.quantisation import as_pictures, dequantise, from_pictures, quantise
from fields.sparse_grid import SparseGrid3D

# Types of numbers that are stored as they are; real numbers may be stored in a shorter one.
DTYPES = {name: getattr(torch, name) for name in ("float16", "float32", "float64", "int32", "int64", "uint8", "bool")}


@dataclass(frozen=True)
class Cut:
    """A piece of a grid.

    Attributes:
        shape: Of its stack of bytes, K, H and W.
        smooth: Whether neighbours in its pictures are neighbours in space, so that it may be coded as pictures.
    """

    shape: tuple[int, int, int]
    smooth: bool


class LevelsCut:
    """A `MultiResGrid` in pieces: one per level, of a picture per channel (NVP, Kim et al. 2022, 4.2).

    Args:
        grid: As it will be, or is; on any device.
    """

    lossy = "jpeg"

    def __init__(self, grid: MultiResGrid) -> None:
        self.levels, self.channels = grid.levels, grid.table.shape[1]
        self.num_ranges = len(self.levels) * self.channels

    def pieces(self) -> list[Cut]:
        """What the pieces look like, coarsest level first."""
        return [Cut(self._shape(level), _is_plane(level)) for level in self.levels]

    def split(
        self, table: Float[Tensor, "V C"]
    ) -> tuple[list[UInt8[Tensor, "K H W"]], Float[Tensor, " R"], Float[Tensor, " R"]]:
        """The pieces' bytes, and what 0 and 255 stand for."""
        coded = [quantise(one) for one in table.split([level.size for level in self.levels])]
        stacks = [
            as_pictures(number, self._shape(level)[:0:-1])
            for level, (number, _, _) in zip(self.levels, coded, strict=True)
        ]
        return stacks, torch.cat([low for _, low, _ in coded]), torch.cat([high for _, _, high in coded])

    def join(self, stacks: Sequence[UInt8[Tensor, "_ _ _"]], low: Tensor, high: Tensor) -> Float[Tensor, "V C"]:
        """The table of pieces."""
        limits = zip(low.split(self.channels), high.split(self.channels), strict=True)
        return torch.cat([dequantise(from_pictures(s), *ends) for s, ends in zip(stacks, limits, strict=True)])

    def _shape(self, level: Level) -> tuple[int, int, int]:
        sides = level.resolution[::-1] if _is_plane(level) else (1, level.size)
        return self.channels, sides[0], sides[1]


class VolumeCut:
    """A `SparseGrid3D` in pieces: for every group of slices one per channel.

    Args:
        grid: As it will be, or is; on any device.
        group: Slices of a piece.
    """

    lossy = "hevc"

    def __init__(self, grid: SparseGrid3D, group: int) -> None:
        *self.shape, self.channels = grid.embeddings.shape
        self.num_ranges, self.group = self.channels, group

    def pieces(self) -> list[Cut]:
        """What the pieces look like: the channels of the first group, then those of the next."""
        lengths = [part.stop - part.start for part in ranges(self.shape[0], self.group)]
        return [Cut((n, self.shape[1], self.shape[2]), True) for n in lengths for _ in range(self.channels)]

    def split(
        self, cells: Float[Tensor, "T Y X C"]
    ) -> tuple[list[UInt8[Tensor, "K H W"]], Float[Tensor, " C"], Float[Tensor, " C"]]:
        """The pieces' bytes, and what 0 and 255 stand for."""
        number, low, high = quantise(cells)
        return [channel for part in number.split(self.group) for channel in part.unbind(dim=-1)], low, high

    def join(self, stacks: Sequence[UInt8[Tensor, "_ _ _"]], low: Tensor, high: Tensor) -> Float[Tensor, "T Y X C"]:
        """The cells of pieces."""
        channels = [torch.cat(list(stacks[c :: self.channels])) for c in range(self.channels)]
        return dequantise(torch.stack(channels, dim=-1), low, high)


def grid_cuts(field: nn.Module, group: int) -> dict[str, LevelsCut | VolumeCut]:
    """The grids of a field by the names of their tensors.

    Args:
        field: On any device, "meta" too.
        group: Slices of a volume in one piece.
    """
    found: dict[str, LevelsCut | VolumeCut] = {}
    for name, module in field.named_modules():
        prefix = f"{name}." if name else ""
        if isinstance(module, MultiResGrid):
            found[f"{prefix}table"] = LevelsCut(module)
        if isinstance(module, SparseGrid3D):
            found[f"{prefix}embeddings"] = VolumeCut(module, group)
    return found


def to_numbers(tensor: Shaped[Tensor, "..."], form: str, name: str) -> bytes:
    """A tensor's numbers, compressed without loss.

    Args:
        tensor: Of any shape.
        form: One of `DTYPES` that they are stored in.
        name: Of the tensor, for messages.

    Raises:
        InputError: They do not fit this type.
    """
    stored = tensor.detach().cpu().to(DTYPES[form])
    if tensor.is_floating_point() and not torch.equal(stored.isfinite(), tensor.cpu().isfinite()):
        raise InputError(f"{name}: some of its numbers are too large for {form}: give precision float32")
    planes = rearrange(stored.contiguous().numpy().reshape(-1, 1).view(np.uint8), "n b -> b n")
    return zlib.compress(np.ascontiguousarray(planes).tobytes(), 9)  # bytes of equal weight resemble each other


def from_numbers(data: bytes, form: str, shape: Sequence[int]) -> Shaped[Tensor, "..."]:
    """The tensor of `to_numbers`.

    Args:
        data: Its bytes.
        form: As it was given.
        shape: Of the tensor.

    Raises:
        InputError: They hold anything else.
    """
    if form not in DTYPES:
        raise InputError(f"form {form[:20]!r}: not one of {', '.join(DTYPES)}")
    width, count = DTYPES[form].itemsize, int(np.prod(shape, dtype=object))
    planes = np.frombuffer(inflate(data, width * count), np.uint8).reshape(width, count)
    number = rearrange(planes, "b n -> n b").copy().reshape(-1)
    if form == "bool":
        number = (number != 0).view(np.uint8)
    return torch.from_numpy(number).view(DTYPES[form]).reshape(tuple(shape))


def _is_plane(level: Level) -> bool:
    """Whether a level's table is a picture: not hashed, wrapped or padded, and of a size that programs read."""
    if len(level.resolution) != 2 or level.hashed or level.size != level.resolution[0] * level.resolution[1]:
        return False
    return are_pictures((1, *level.resolution))
