"""Real clips for the measures: consecutive frames of videos that training did not see, where there are such.

Shape legend
    B, T    clips, frames of a clip
    H, W    height and width
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from datasets.clips import fit
from datasets.sources import Source
from errors import InputError
from stylegan_v.config_nodes import instantiate

if TYPE_CHECKING:
    from datasets.datamodule import ClipDataModule

_BUILDABLE = "datasets."


def build_data(config: Mapping[str, Any]) -> ClipDataModule:
    """The data module that a run's config names under ``data``.

    Args:
        config: Of the run, plain values; may name nothing outside of ``datasets``.

    Raises:
        InputError: It names no data module of this project.
    """
    from datasets.datamodule import ClipDataModule

    node = config.get("data")
    for path in _import_paths(node):
        if not str(path).startswith(_BUILDABLE):
            raise InputError(f"data: {path} is not part of {_BUILDABLE}*: nothing else is imported for a report")
    return instantiate(node, ClipDataModule, "data")


def _import_paths(node: Any) -> Iterator[Any]:
    """Everything that a config node asks to import: its classes, and what makes synthetic videos."""
    if isinstance(node, Mapping):
        yield from (node[key] for key in ("class_path", "video") if isinstance(node.get(key), str))
    for child in node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ():
        yield from _import_paths(child)


class RealClips:
    """Draws of real clips.

    Videos made from seeds are new ones, beyond the seeds of training: held out. Other videos are those of training.

    Args:
        data: Of the run.
        num_clips: B, clips of a draw, each of another video where there are enough.
        num_frames: T, consecutive frames.
        seed: Of the draws.

    Attributes:
        held_out: Whether training never saw these videos.
    """

    def __init__(self, data: ClipDataModule, num_clips: int, num_frames: int, seed: int = 0) -> None:
        from datasets.datamodule import SyntheticVideos

        data.setup("fit")
        self.data, self.num_clips, self.num_frames, self.seed = data, num_clips, num_frames, seed
        self.held_out = isinstance(data, SyntheticVideos)
        self.usable = np.flatnonzero(data.videos.lengths >= num_frames)
        if len(self.usable) == 0:
            raise InputError(f"data: no video has the {num_frames} frames of a clip that is measured")

    def draw(self, number: int) -> UInt8[Tensor, "B T 3 H W"]:
        """Clips of draw ``number``; draws do not overlap where videos are held out."""
        rng = np.random.default_rng([self.seed, number])
        videos = self._new_videos(number) if self.held_out else self._known_videos(rng)
        return torch.stack([self._cut(video, rng) for video in videos])

    def starts(self, number: int, num: int) -> Int64[np.ndarray, " num"]:
        """First frames for generated clips, as random as those of the clips of training.

        Args:
            number: Of the draw.
            num: How many.
        """
        rng = np.random.default_rng([self.seed, number, 1])
        lengths = np.maximum(self.data.video_lengths[self.usable], self.num_frames)
        return rng.integers(rng.choice(lengths, size=num) - self.num_frames + 1)

    def conditions(self, number: int) -> Float32[Tensor, "B c_dim"]:
        """Labels for generated clips, as frequent as in training.

        Args:
            number: Of the draw.
        """
        rng = np.random.default_rng([self.seed, number, 2])
        return torch.from_numpy(self.data.labels[rng.integers(len(self.data.labels), size=self.num_clips)])

    def _new_videos(self, number: int) -> Iterator[Source]:
        first = self.data.first_seed + self.data.num_videos + number * self.num_clips
        for seed in range(first, first + self.num_clips):
            yield self.data.video(seed, self.data.num_frames, self.data.resolution)

    def _known_videos(self, rng: np.random.Generator) -> Iterator[Source]:
        """Every video once before any twice."""
        rounds = -(-self.num_clips // len(self.usable))
        for index in np.concatenate([rng.permutation(self.usable) for _ in range(rounds)])[: self.num_clips]:
            yield self.data.videos.open(int(index))

    def _cut(self, video: Source, rng: np.random.Generator) -> UInt8[Tensor, "T 3 H W"]:
        start = int(rng.integers(len(video) - self.num_frames + 1))
        return fit(video.read(list(range(start, start + self.num_frames))), self.data.resolution)
