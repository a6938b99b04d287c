"""Which pixels of a video training may see: drawn from evenly, without a list of all of their numbers.

Shape legend
    F       frames
    H, W    height and width of frames
    h, w    of scaled frames
    N       draws
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from errors import InputError

_REACH = 3  # of Lanczos' window, in pixels of the smaller of two sizes


class Visible:
    """The pixels of a video that are not hidden, in order.

    Two bytes are kept for each, and the end of each row: their numbers would take eight.

    Args:
        hidden: Which are not seen.

    Attributes:
        hidden: The same.
        count: How many are seen.
        frames: Numbers of the frames of which something is seen.

    Raises:
        InputError: Nothing is hidden, or nothing is left to be seen.
    """

    def __init__(self, hidden: Bool[Tensor, "F H W"]) -> None:
        self.hidden = hidden
        shortest = torch.int16 if hidden.shape[2] < 2**15 else torch.int32
        columns = [(~frame).nonzero()[:, 1].to(shortest) for frame in hidden]
        self.frames = [number for number, found in enumerate(columns) if len(found)]
        self._columns = torch.cat(columns)
        self._ends = torch.stack([(~frame).sum(1) for frame in hidden]).flatten().cumsum(0)
        self.count = len(self._columns)
        if not self.count:
            raise InputError("hides all pixels: leave some to be seen; what is white in it is hidden")
        if self.count == hidden.numel():
            raise InputError("hides no pixel: what is white in it is hidden; leave it out to fit to all")

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        return sum(part.numel() * part.element_size() for part in (self.hidden, self._columns, self._ends))

    def to(self, device: torch.device) -> Visible:
        """Moves it; gives itself."""
        self.hidden, self._columns, self._ends = (x.to(device) for x in (self.hidden, self._columns, self._ends))
        return self

    def pixels(self, numbers: Int64[Tensor, " N"]) -> Int64[Tensor, " N"]:
        """Numbers of pixels among all, counted frame by frame and row by row.

        Args:
            numbers: Among those that are seen.
        """
        row = torch.searchsorted(self._ends, numbers, right=True)
        return row * self.hidden.shape[2] + self._columns[numbers]

    def seen(self, frames: Sequence[int]) -> Bool[Tensor, "F H W"]:
        """What is seen of frames, by their numbers."""
        return ~self.hidden[list(frames)]


def scaled(hidden: Bool[np.ndarray, "H W"], size: Sequence[int]) -> Bool[np.ndarray, "h w"]:
    """A mask of scaled frames: all is hidden that depends on something hidden, however little.

    Args:
        hidden: Of a frame.
        size: Height and width that it is brought to by Lanczos' window.
    """
    for axis, length in enumerate(size):
        hidden = np.moveaxis(_along(np.moveaxis(hidden, axis, 0), int(length)), 0, axis)
    return hidden


def _along(hidden: np.ndarray, length: int) -> np.ndarray:
    """The same along the first axis."""
    before = len(hidden)
    if before == length:
        return hidden
    ratio = before / length
    reach = _REACH * max(1.0, ratio)
    centres = (np.arange(length) + 0.5) * ratio
    first = np.clip(np.floor(centres - reach).astype(int), 0, before)
    last = np.clip(np.ceil(centres + reach).astype(int), 0, before)
    counts = np.concatenate([np.zeros_like(hidden[:1], dtype=np.int64), hidden.cumsum(0)])
    return counts[last] > counts[first]
