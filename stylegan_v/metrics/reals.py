"""Real clips for the measures: consecutive frames of videos that training did not see, where there are such.

Shape legend
    B, T    clips, frames of a clip
    N       videos
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from datasets.clips import fit
from errors import InputError
from stylegan_v.config_nodes import instantiate

if TYPE_CHECKING:
    from datasets.collection import VideoCollection
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

        self.resolution, self.max_num_frames = data.resolution, data.frame_sampler.max_num_frames
        self.num_clips, self.num_frames, self.seed = num_clips, num_frames, seed
        self.held_out = isinstance(data, SyntheticVideos)
        if self.held_out:
            self.first_seed, self.make, self.length = data.first_seed + data.num_videos, data.video, data.num_frames
            self._refuse_if(self.length < num_frames)
        else:
            data.setup("fit")
            self.videos: VideoCollection = data.videos
            self.usable = np.flatnonzero(data.videos.lengths >= num_frames)
            self._refuse_if(len(self.usable) == 0)

    def draw(self, number: int) -> UInt8[Tensor, "B T 3 H W"]:
        """Clips of draw ``number``; draws do not overlap where videos are held out."""
        rng = np.random.default_rng([self.seed, number])
        if not self.held_out:
            # Every video once before any twice.
            rounds = -(-self.num_clips // len(self.usable))
            chosen = np.concatenate([rng.permutation(self.usable) for _ in range(rounds)])[: self.num_clips]
            clips = [self._cut(self.videos.open(int(i)), rng) for i in chosen]
        else:
            first = self.first_seed + number * self.num_clips
            seeds = range(first, first + self.num_clips)
            clips = [self._cut(self.make(seed, self.length, self.resolution), rng) for seed in seeds]
        return torch.stack(clips)

    def starts(self, number: int, num: int) -> np.ndarray:
        """First frames for generated clips, as random as those of the real ones.

        Args:
            number: Of the draw.
            num: How many.
        """
        rng = np.random.default_rng([self.seed, number, 1])
        lengths = [self.length] if self.held_out else self.videos.lengths[self.usable]
        longest = np.minimum(rng.choice(lengths, size=num), self.max_num_frames)
        return rng.integers(longest - self.num_frames + 1)

    def _cut(self, video: Any, rng: np.random.Generator) -> UInt8[Tensor, "T 3 H W"]:
        start = int(rng.integers(len(video) - self.num_frames + 1))
        return fit(video.read(list(range(start, start + self.num_frames))), self.resolution)

    def _refuse_if(self, too_short: bool) -> None:
        if too_short:
            raise InputError(f"data: no video has the {self.num_frames} frames of a clip that is measured")
