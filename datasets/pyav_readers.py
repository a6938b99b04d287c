"""Readers that decode with PyAV: by time where times can be trusted, from the start where not.

Shape legend
    H, W    height and width, upright
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8

from datasets.video_facts import UnreadableVideo
from datasets.video_packets import PacketTable, decoded, opened, packet_table, upright

logger = logging.getLogger(__name__)

_SEEK_COST = 8  # frames that could be decoded meanwhile


class _PyAVReader:
    """What both PyAV readers share: a position in an open file, and the frame there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._size: tuple[int, int] | None = None
        self._current: VideoFrame | None = None
        self._said_damaged = False
        self._reformatter = VideoReformatter()
        self._rewind()

    def _rewind(self) -> None:
        """Opens the file anew, at its start."""
        self._stack.close()
        self._container, self._stream = self._stack.enter_context(opened(self._path))
        self._frames = self._decoded()
        self._current = None

    def _decoded(self) -> Iterator[VideoFrame]:
        return decoded(self._container, self._stream)

    def _pixels(self, index: int, frame: VideoFrame | None, *, exact: bool) -> UInt8[np.ndarray, "H W 3"]:
        if frame is None:
            raise UnreadableVideo(self._path, f"undecodable: nothing at frame {index}")
        if not exact and not self._said_damaged:
            self._said_damaged = True
            logger.warning("%s: damaged: frame %d cannot be decoded, a neighbour stands in", self._path, index)
        self._size = self._size or (frame.height, frame.width)
        return upright(frame, self._size, self._reformatter)


class SeekingReader(_PyAVReader):
    """Finds a frame by the time it is shown at: seeks to the keyframe before it and decodes up to that very time.

    Args:
        path: A file whose frames have times of their own.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._table = _cached_table(path, path.stat().st_mtime_ns)

    def frame(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        wanted = int(self._table.pts[index])
        if self._current is None or not self._ahead(wanted):
            self._seek(wanted)
        found = self._advance(wanted)
        return self._pixels(index, found, exact=found is not None and found.pts == wanted)

    def _decoded(self) -> Iterator[VideoFrame]:
        return (frame for frame in super()._decoded() if frame.pts is not None)

    def _keyframe(self, pts: int) -> int:
        """Index of the last keyframe at or before a time; -1 if there is none."""
        return int(np.searchsorted(self._table.keyframes, pts, side="right")) - 1

    def _ahead(self, wanted: int) -> bool:
        """Whether decoding on from here costs no more than going to the keyframe before a time."""
        here, keyframe = self._current.pts, self._keyframe(wanted)
        restart = self._table.keyframes[keyframe] if keyframe >= 0 else here
        between = np.searchsorted(self._table.pts, restart) - np.searchsorted(self._table.pts, here)
        return bool(here <= wanted and between <= _SEEK_COST)

    def _seek(self, wanted: int) -> None:
        """Goes to a keyframe from which decoding starts at or before a time; earlier ones where containers mislead."""
        for keyframe in range(self._keyframe(wanted), max(self._keyframe(wanted) - 3, -1), -1):
            self._container.seek(int(self._table.keyframes[keyframe]), stream=self._stream)
            self._frames = self._decoded()
            self._current = next(self._frames, None)
            if self._current is not None and self._current.pts <= wanted:
                return
        self._rewind()

    def _advance(self, wanted: int) -> VideoFrame | None:
        """The frame shown at a time, or, if it never comes, the nearest before it, else the first after it."""
        best = self._current
        while self._current is None or self._current.pts < wanted:
            following = next(self._frames, None)
            if following is None:
                return best
            self._current = following
            best = following if best is None or following.pts <= wanted else best
        return best


class SequentialReader(_PyAVReader):
    """Counts frames from the start of the file: exact for every file, slow when numbers fall or lie far apart.

    Args:
        path: Any file that decodes.
    """

    def _rewind(self) -> None:
        super()._rewind()
        self._position = -1

    def frame(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        if index < self._position:
            self._rewind()
        while self._position < index:
            following = next(self._frames, None)
            if following is None:
                break
            self._current, self._position = following, self._position + 1
        return self._pixels(index, self._current, exact=self._position == index)


@functools.lru_cache(maxsize=64)
def _cached_table(path: Path, mtime_ns: int) -> PacketTable:
    with opened(path) as (container, stream):
        return packet_table(container, stream)
