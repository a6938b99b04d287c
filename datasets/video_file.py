"""Exact frames of a video file by number: decord where it is exact, PyAV where it is not.

Readers are opened where they are used, a few per process and thread, and never travel with the source.

Shape legend
    T       frames asked for
    H, W    height and width, upright
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from datasets.open_files import OpenFiles
from datasets.video_facts import DECORD, SEEKING, SEQUENTIAL, UnreadableVideo, VideoFacts, decord_is_there
from datasets.video_readers import DecordError, DecordReader, Reader

logger = logging.getLogger(__name__)

_open_readers: OpenFiles[Reader] = OpenFiles(capacity=6)  # an open decord reader costs some 50 MB and a thread


class VideoFile:
    """A video file as a source of exact frames.

    Args:
        path: The file.
        facts: What an earlier look at it found; None: look when it is first needed.
    """

    def __init__(self, path: str | Path, facts: VideoFacts | None = None) -> None:
        self.path = Path(path)
        self._facts = facts

    @property
    def facts(self) -> VideoFacts:
        """Length, rate, size and reader."""
        if self._facts is None:
            from datasets.video_probe import probe  # with PyAV, which those do without who read no video files

            self._facts = probe(self.path)
        return self._facts

    @property
    def fps(self) -> float:
        """Frames per second, on average."""
        return self.facts.fps

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame, upright."""
        return self.facts.height, self.facts.width

    def __len__(self) -> int:
        return self.facts.num_frames

    def read(self, times: Sequence[int]) -> UInt8[Tensor, "T 3 H W"]:
        """The frames of these numbers, in the order given; a damaged one is replaced by its neighbour, with a warning.

        Raises:
            IndexError: A number outside the video.
            UnreadableVideo: The file is gone, or nothing in it can be decoded.
        """
        distinct = check_times(times, len(self), self.path)
        try:
            frames = self._read_distinct(distinct)
        except DecordError as error:
            logger.warning("%s: decord fails, PyAV takes over: %s", self.path, error)
            _open_readers.drop((self.path, self.facts))
            self._facts = replace(self.facts, reader=SEEKING)
            frames = self._read_distinct(distinct)
        return as_clip([frames[int(time)] for time in times], self.size)

    def _read_distinct(self, times: list[int]) -> dict[int, UInt8[np.ndarray, "H W 3"]]:
        reader = _open_readers.get((self.path, self.facts), self._open) if times else None
        return {time: reader.frame(time) for time in times}

    def _open(self) -> Reader:
        if not self.path.is_file():
            raise UnreadableVideo(self.path, "missing")
        if self.facts.reader == DECORD and decord_is_there():
            return DecordReader(self.path, self.facts)
        from datasets.pyav_readers import SeekingReader, SequentialReader

        return SequentialReader(self.path) if self.facts.reader == SEQUENTIAL else SeekingReader(self.path)


def as_clip(frames: Sequence[UInt8[np.ndarray, "H W 3"]], size: tuple[int, int]) -> UInt8[Tensor, "T 3 H W"]:
    """Frames of one size as a clip; of no frames, an empty one."""
    if not frames:
        return torch.empty((0, 3, *size), dtype=torch.uint8)
    # By numpy: torch would set all cores to work on copies of a few kilobytes. Into place: a stack of turned views
    # keeps the order of their bytes, and would be copied once more.
    clip = np.empty((len(frames), 3, *size), dtype=np.uint8)
    for place, frame in zip(clip, frames, strict=True):
        np.copyto(place, frame.transpose(2, 0, 1))
    return torch.from_numpy(clip)


def check_times(times: Sequence[int], length: int, name: str | Path) -> list[int]:
    """The distinct frame numbers among ``times``, sorted.

    Raises:
        IndexError: One is not in [0, length).
    """
    distinct = sorted({int(time) for time in times})
    if distinct and not 0 <= distinct[0] <= distinct[-1] < length:
        raise IndexError(f"{name}: frames {distinct[0]}..{distinct[-1]} asked for, it has 0..{length - 1}")
    return distinct
