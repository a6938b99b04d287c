"""What is known of a video file between two looks at it; loads no decoder.

`video_probe` finds these facts, `video_readers` and `pyav_readers` use them.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path

from errors import InputError

logger = logging.getLogger(__name__)

DECORD, SEEKING, SEQUENTIAL = "decord", "pyav", "sequential"


class UnreadableVideo(InputError):
    """A video file that cannot be used.

    Args:
        path: The file.
        reason: Why, as "kind: detail".
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}; mend or remove the file")
        self.reason = reason


@dataclass(frozen=True)
class VideoFacts:
    """What is known of a video file without opening it again.

    Args:
        num_frames: Frames that are shown.
        fps: Frames per second, on average.
        height: Of a frame, turned upright.
        width: Likewise.
        reader: "decord", "pyav" (finds frames by time) or "sequential" (decodes from the start).
    """

    num_frames: int
    fps: float
    height: int
    width: int
    reader: str


@functools.cache
def decord_is_there() -> bool:
    """Whether decord is installed; says once in the log when it is not."""
    there = importlib.util.find_spec("decord") is not None
    if not there:
        logger.warning("decord is not installed here (it exists for x86-64 only): PyAV reads all video files")
    return there
