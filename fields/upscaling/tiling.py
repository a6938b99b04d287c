"""Views of large images, tile by tile: memory does not grow with the image, and tiles equal the whole.

Each tile is encoded with a margin around it that covers what the model's features depend on. Where the tile ends with
the image, so does its margin: there the encoder pads both alike.

Shape legend
    h, w    height and width of a tile, its margin included
    r, c    rows and columns of a part of the result
    N       pixels of a part of the result along an axis
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float32, Float64
from torch import Tensor

from fields.continuous_image import CHUNK, ContinuousImage
from fields.interface import ranges
from fields.liif import LIIF
from fields.readout import NearestReadout
from fields.upscaling.views import Axis, View

# Rows and columns of the source to [3, h, w] in [-1, 1].
Read = Callable[[slice, slice], Tensor]
# Points of which results are held together; they are queried in smaller chunks.
_BAND = 2**16
# Pixels of the source: points that are this near to where a model jumps are moved off it, this far.
_NEAR, _AWAY = 1e-4, 1e-3


@dataclass(frozen=True)
class Cut:
    """How images are cut into tiles.

    Attributes:
        tile: Side of a tile without its margin, in pixels of the source; None: one tile for all that is shown.
        margin: Pixels around a tile that are encoded as well; None: the whole image is.
    """

    tile: int | None
    margin: int | None


@dataclass(frozen=True)
class Span:
    """A tile along one axis.

    Attributes:
        read: What is encoded of the source.
        write: Which pixels of the result it gives.
        coords: Where they are, in [-1, 1] of what is encoded.
        cell: Their size, likewise.
    """

    read: slice
    write: slice
    coords: Float32[np.ndarray, " N"]
    cell: float


def spans(axis: Axis, positions: Float64[np.ndarray, " N"], cut: Cut) -> list[Span]:
    """The tiles along an axis; together they write every pixel of the result once.

    Args:
        axis: Of the view.
        positions: Of its pixels, in pixels of the source.
        cut: How it is cut.
    """
    places = np.clip(np.floor(positions).astype(np.int64), 0, axis.length - 1)
    first, last = int(places[0]), int(places[-1]) + 1
    num_tiles = 1 if cut.tile is None else math.ceil((last - first) / cut.tile)
    borders = [first + (last - first) * i // num_tiles for i in range(num_tiles)]
    begins = [*np.searchsorted(places, borders).tolist(), axis.count]
    found = []
    for begin, end in pairwise(begins):
        if begin < end:
            margin = axis.length if cut.margin is None else cut.margin
            low, high = max(0, int(places[begin]) - margin), min(axis.length, int(places[end - 1]) + 1 + margin)
            coords = (2 * (positions[begin:end] - low) / (high - low) - 1).astype(np.float32)
            found.append(Span(slice(low, high), slice(begin, end), coords, 2 * axis.step / (high - low)))
    return found


def settled(model: ContinuousImage, axis: Axis) -> Float64[np.ndarray, " N"]:
    """Positions of pixels along an axis, moved off places where the model's value depends on the last bit of them.

    With an ensemble that is the centre of the last feature, where published weights are zero by zero; without one, the
    borders between features. (MetaSR sees to it by itself.)
    """
    positions = axis.positions()
    if isinstance(model, NearestReadout):
        return positions + _AWAY  # which changes nothing within its pixels
    if not isinstance(model, LIIF):
        return positions
    jump = axis.length - 0.5 if model.ensemble else np.rint(positions)
    return np.where(np.abs(positions - jump) < _NEAR, positions + _AWAY, positions)


def render_view(
    model: ContinuousImage, read: Read, view: View, cut: Cut, chunk: int = CHUNK
) -> Iterator[tuple[slice, slice, Float32[Tensor, "3 r c"]]]:
    """The parts of a view as they are done: rows and columns of the result, and their values, nominally in [-1, 1].

    Args:
        model: On the device where it computes.
        read: Gives parts of the source, on that device.
        view: What is shown.
        cut: How the source is cut.
        chunk: Points that are queried at once.
    """
    across = spans(view.columns, settled(model, view.columns), cut)
    for rows in spans(view.rows, settled(model, view.rows), cut):
        for columns in across:
            prepared = _prepared(model, read(rows.read, columns.read))
            x = torch.from_numpy(columns.coords).to(prepared.device)
            cell = x.new_tensor((rows.cell, columns.cell))
            for band in ranges(len(rows.coords), max(1, _BAND // len(x))):
                y = torch.from_numpy(rows.coords[band]).to(x)
                begin = rows.write.start
                done = slice(begin + band.start, begin + band.stop)
                yield done, columns.write, _queried(model, prepared, y, x, cell, chunk)


# Not on the generator itself: the mode would stay on where its parts are used.
@torch.no_grad()
def _prepared(model: ContinuousImage, image: Float32[Tensor, "3 h w"]) -> Tensor:
    return model.prepare(model.encode(image[None]))


@torch.no_grad()
def _queried(
    model: ContinuousImage, prepared: Tensor, y: Tensor, x: Tensor, cell: Tensor, chunk: int
) -> Float32[Tensor, "3 r c"]:
    points = rearrange(torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1), "r c yx -> 1 (r c) yx")
    values = points.new_empty(1, points.shape[1], 3)
    for part in ranges(points.shape[1], chunk):
        values[:, part] = model.query(prepared, points[:, part], cell.expand_as(points[:, part]))
    return rearrange(values, "1 (r c) rgb -> rgb r c", r=len(y))
