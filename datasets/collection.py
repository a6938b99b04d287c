"""Many videos as one object: how long each is, its label, and how to open it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from datasets.index import VideoIndex
from datasets.sources import Source
from datasets.synthetic import SyntheticVideo


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
    """The usable videos of an index.

    Args:
        index: What was found.
    """

    def __init__(self, index: VideoIndex) -> None:
        self.index, self.labels = index, index.labels()
        self.lengths = np.array([video.num_frames for video in index.videos], dtype=np.int64)
        self.sizes = np.array([(video.height, video.width) for video in index.videos], dtype=np.int64).reshape(-1, 2)

    def open(self, index: int) -> Source:
        return self.index.open(index)


class RenderedVideos:
    """Videos made on the fly; each seed is one.

    Args:
        make: Makes a video from (seed, num_frames, size).
        first_seed: Seed of the first video.
        num_videos: How many there are.
        num_frames: Length of each.
        size: Height and width in pixels.
        labelled: Take their classes over as labels; otherwise c_dim is 0.
        scales: What the size of the videos is multiplied by, one after the other and again from the first.
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
        scales: Sequence[float] = (1.0,),
    ) -> None:
        self.make, self.first_seed, self.num_frames, self.size = make, first_seed, num_frames, size
        self.scales = tuple(scales)
        in_turn = [[round(side * scale) for side in size] for scale in self.scales]
        self.sizes = np.resize(np.array(in_turn, dtype=np.int64), (num_videos, 2))
        self.lengths = np.full(num_videos, num_frames, dtype=np.int64)
        self.labels = np.zeros((num_videos, 0), dtype=np.float32)
        if labelled:
            videos = [self.open(i) for i in range(num_videos)]
            self.labels = np.eye(videos[0].num_classes, dtype=np.float32)[[video.label for video in videos]]

    def open(self, index: int) -> SyntheticVideo:
        height, width = self.sizes[index].tolist()
        return self.make(self.first_seed + index, self.num_frames, (height, width))
