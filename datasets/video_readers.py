"""Readers of one open video file: frames by number. Here the one of decord, which is loaded with the first file.

Shape legend
    H, W    height and width, upright
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from datasets.video_facts import VideoFacts


@runtime_checkable
class Reader(Protocol):
    """Frames of one open file by number; cheapest when the numbers rise."""

    def frame(self, index: int) -> UInt8[np.ndarray, "H W 3"]: ...


class DecordError(Exception):
    """Decord failed or contradicts what is known of the file; PyAV can take over."""


class DecordReader:
    """Reads with decord, one frame at a time: its batch call is known to hang.

    Args:
        path: A file for which decord is exact.
        facts: What is known of it.
    """

    def __init__(self, path: Path, facts: VideoFacts) -> None:
        import decord

        decord.logging.set_level(decord.logging.FATAL)  # its errors are raised; the rest is ffmpeg talking
        try:
            self._video = decord.VideoReader(str(path.absolute()), ctx=decord.cpu(0), num_threads=1)
        except (decord.DECORDError, RuntimeError) as error:
            raise DecordError(str(error).splitlines()[0]) from error
        if len(self._video) != facts.num_frames:
            raise DecordError(f"it counts {len(self._video)} frames instead of {facts.num_frames}")
        self._errors, self._shape = (decord.DECORDError, RuntimeError), (facts.height, facts.width, 3)

    def frame(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        try:
            pixels = self._video[index].asnumpy()
        except self._errors as error:
            raise DecordError(str(error).splitlines()[0]) from error
        if pixels.shape != self._shape:
            raise DecordError(f"its frame {index} has shape {pixels.shape} instead of {self._shape}")
        return pixels
