"""What a folder, a zip or a prepared store holds: its videos, their sizes and labels, and what cannot be used and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32

Label = int | tuple[float, ...] | None


@dataclass(frozen=True)
class VideoEntry:
    """One usable video.

    Args:
        name: Path relative to the root, with "/"; "." for frames that lie in the root itself.
        kind: What it is: "video" (a file), "folder", "zip" (frames) or "store" (prepared raw frames).
        num_frames: Its length.
        fps: Frames per second.
        height: Of a frame, in pixels, as it is shown.
        width: Likewise.
        label: Class number, condition vector, or None.
        reader: How a video file is read; empty for the other kinds.
    """

    name: str
    kind: str
    num_frames: int
    fps: float
    height: int
    width: int
    label: Label = None
    reader: str = ""


@dataclass(frozen=True)
class SkippedVideo:
    """One video that cannot be used, and why.

    Args:
        name: Path relative to the root, with "/".
        reason: For the user, in a few words.
    """

    name: str
    reason: str


@dataclass
class VideoIndex:
    """All videos below one root, in natural order.

    Args:
        root: Folder, zip or prepared store.
        videos: What can be used.
        skipped: What cannot.
    """

    root: Path
    videos: list[VideoEntry]
    skipped: list[SkippedVideo] = field(default_factory=list)

    def labels(self) -> Float32[np.ndarray, "N c_dim"]:
        """Conditions of the videos: class numbers as one-hot rows, vectors as they are; c_dim is 0 without labels."""
        labels = [video.label for video in self.videos]
        if not labels or labels[0] is None:
            return np.zeros((len(labels), 0), dtype=np.float32)
        if isinstance(labels[0], int):
            return np.eye(max(labels) + 1, dtype=np.float32)[labels]
        return np.array(labels, dtype=np.float32)
