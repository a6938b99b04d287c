"""Frames of a coded video, of whose volume no more is decoded than they need.

Shape legend
    F       frames
    h, w    height and width of a window
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from fields.codec.opening import open_coded
from fields.coords import NVP_GRIDS
from fields.interface import CHUNK
from fields.nvp import NVP
from fields.sparse_grid import nearest_cell, neighbours
from fields.weights import StoredField, build_field

_VOLUME = "sparse.embeddings"


class CodedVideo:
    """A video in a file. Everything but NVP's volume is decoded once; groups of its slices when a frame needs them.

    Args:
        data: The file.
        path: Where it lies, for messages.

    Attributes:
        field: The field; of an NVP, slices not in ``decoded`` are zeros as yet.
        facts: Plain values: what is known of how it was made.
        decoded: Numbers of the groups that were.

    Raises:
        InputError: It is no such file, or damaged, or does not hold the field that it names.
    """

    def __init__(self, data: bytes, path: Path) -> None:
        self._opened = open_coded(data, path)
        self._waits = isinstance(self._opened.field, NVP) and self._opened.in_pieces(_VOLUME)
        state = {name: self._start(name, like) for name, like in self._opened.like.items()}
        self.field = build_field(StoredField(path, self._opened.contents.node, state, self._opened.facts))
        self.facts = self._opened.facts
        self.decoded: set[int] = set()

    def render(
        self,
        t: Float[Tensor, " F"],
        size: Sequence[int],
        window: Sequence[int] | None = None,
        chunk: int = CHUNK,
        blend_time: bool = False,
    ) -> Float[Tensor, "F 3 h w"]:
        """Frames, or the same window of each.

        Args:
            t: Moments in [-1, 1].
            size: Height and width of whole frames in pixels.
            window: (y0, x0, y1, x1), half open; None is the whole frame.
            chunk: Points that are evaluated at once.
            blend_time: Of an NVP: blend slices of the volume linearly, for moments between frames.
        """
        if not isinstance(self.field, NVP):
            return self.field.render(t, size, window, chunk)
        if self._waits:
            for group in sorted(self._needed(self.field, t, blend_time) - self.decoded):
                self._decode(self.field, group)
        return self.field.render(t, size, window, chunk, blend_time)

    def _start(self, name: str, like: Tensor) -> Tensor:
        if self._waits and name == _VOLUME:
            return torch.zeros(like.shape, dtype=like.dtype)
        return self._opened.tensor(name)

    def _needed(self, field: NVP, t: Tensor, blend_time: bool) -> set[int]:
        """Groups of the slices that moments read, found as `SparseGrid3D` finds them."""
        count = len(field.sparse.embeddings)
        places = NVP_GRIDS.of(t[:, None], field.size[:1])[:, 0].clamp(0, 1)
        lower = (places * (count - 1)).floor().long()
        read = torch.cat([lower, lower + 1]) if blend_time else nearest_cell(places, count)
        slices = neighbours(read, field.sparse.neighbourhood[0], count)
        return set((slices // self._opened.contents.group).unique().tolist())

    def _decode(self, field: NVP, group: int) -> None:
        cells = self._opened.slices(_VOLUME, group)
        begin = group * self._opened.contents.group
        field.sparse.embeddings[begin : begin + len(cells)] = cells.to(field.sparse.embeddings.dtype)
        self.decoded.add(group)
