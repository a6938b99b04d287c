"""Many videos as one object: how long each is, its label, and how to open it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from datasets.index import SkippedVideo, VideoIndex
from datasets.sources import Source
from datasets.synthetic import SyntheticVideo
from errors import InputError


@runtime_checkable
class VideoCollection(Protocol):
    """N videos to draw clips from.

    Attributes:
        lengths: Their numbers of frames.
        labels: Their conditions; c_dim may be 0.
    """

    lengths: Int64[np.ndarray, " N"]
    labels: Float32[np.ndarray, "N c_dim"]

    def open(self, index: int) -> Source:
        """The frames of one video."""
        ...


class IndexedVideos:
    """The videos of an index that are long enough for a clip.

    Args:
        index: What was found.
        num_frames: Frames of a clip; shorter videos are moved to the skipped ones.
        labelled: Take the labels over; otherwise c_dim is 0.

    Attributes:
        index: What is used and what is skipped.
    """

    def __init__(self, index: VideoIndex, num_frames: int, *, labelled: bool = False) -> None:
        # Labels come first: how many classes there are must not depend on which videos are long enough.
        labels = _labels(index) if labelled else np.zeros((len(index.videos), 0), dtype=np.float32)
        lengths = np.array([video.num_frames for video in index.videos], dtype=np.int64)
        self.index = _without_short(index, num_frames)
        self.lengths, self.labels = lengths[lengths >= num_frames], labels[lengths >= num_frames]

    def open(self, index: int) -> Source:
        return self.index.open(index)


def _labels(index: VideoIndex) -> Float32[np.ndarray, "N c_dim"]:
    """Labels of all videos; that some have none is an error."""
    missing = [video.name for video in index.videos if video.label is None]
    if missing:
        raise InputError(
            f"{index.root}: {len(missing)} of {len(index.videos)} videos have no label (the first: {missing[0]}); add "
            "them to dataset.json, or set data.labelled to false"
        )
    return index.labels()


def _without_short(index: VideoIndex, num_frames: int) -> VideoIndex:
    """The index with the videos shorter than a clip moved to the skipped ones."""
    usable = [video for video in index.videos if video.num_frames >= num_frames]
    if not usable:
        longest = max(video.num_frames for video in index.videos)
        raise InputError(
            f"num_frames: a clip takes {num_frames} frames, but the longest video of {index.root} has {longest}; lower "
            "num_frames of the frame sampler"
        )
    reason = "{} frames are fewer than the {} of a clip"
    short = [
        SkippedVideo(video.name, reason.format(video.num_frames, num_frames))
        for video in index.videos
        if video.num_frames < num_frames
    ]
    return VideoIndex(index.root, usable, [*index.skipped, *short])


class RenderedVideos:
    """Videos made on the fly; each seed is one.

    Args:
        make: Makes a video from (seed, num_frames, size).
        first_seed: Seed of the first video.
        num_videos: How many there are.
        num_frames: Length of each.
        size: Height and width in pixels.
        labelled: Take their classes over as labels; otherwise c_dim is 0.
    """

    def __init__(
        self,
        make: Callable[[int, int, tuple[int, int]], SyntheticVideo],
        first_seed: int,
        num_videos: int,
        num_frames: int,
        size: tuple[int, int],
        *,
        labelled: bool = False,
    ) -> None:
        self.make, self.first_seed, self.num_frames, self.size = make, first_seed, num_frames, size
        self.lengths = np.full(num_videos, num_frames, dtype=np.int64)
        self.labels = np.zeros((num_videos, 0), dtype=np.float32)
        if labelled:
            videos = [self.open(i) for i in range(num_videos)]
            self.labels = np.eye(videos[0].num_classes, dtype=np.float32)[[video.label for video in videos]]

    def open(self, index: int) -> SyntheticVideo:
        return self.make(self.first_seed + index, self.num_frames, self.size)
