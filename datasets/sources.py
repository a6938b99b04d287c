"""Where frames come from: anything with a length, a frame rate and exact access to frames by number.

Shape legend
    T       frames asked for
    H, W    height and width
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import UInt8
from torch import Tensor


@runtime_checkable
class Source(Protocol):
    """One video: `len(source)` frames of one size, numbered from 0, read by number.

    Sources can be pickled and survive a fork: whatever they hold open is opened again where it is needed.
    """

    @property
    def fps(self) -> float:
        """Frames per second."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame, in pixels, as it is shown (rotation applied)."""

    def __len__(self) -> int: ...

    def read(self, times: Sequence[int]) -> UInt8[Tensor, "T 3 H W"]:
        """The frames of these numbers, each in [0, len), in the order given; RGB.

        Raises:
            IndexError: A number outside the video.
        """
        ...
