"""Rows beside every score that say what it can see: real clips against other real ones, and against spoilt ones.

All rows are taken on two halves of the real clips, of different videos: the floor is one half against the other, and
each ceiling the first half against the second one frozen, shuffled or played backwards. A measure whose ceilings lie at
its floor does not see motion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from stylegan_v.metrics.choices import ClipChoice
from stylegan_v.metrics.clip_choice import ClipAddress, one_per_video
from stylegan_v.metrics.collecting import Work, frames_of, grouped
from stylegan_v.metrics.controls import frozen, shuffled
from stylegan_v.metrics.measures import Measure
from stylegan_v.metrics.protocols import MetricProtocol

FLOOR = "real"
_FRAMES = 16  # of clips from which single frames are taken
_STREAM = 10

Group = list[ClipAddress]
Reader = Callable[[list[Group]], Callable[[Group], Tensor]]
Look = Callable[[Tensor], Tensor]
Control = Callable[[Tensor, np.random.Generator], Tensor]


def reversed_in_time(clips: Tensor, rng: np.random.Generator) -> Tensor:
    """The clips, played backwards."""
    return clips.flip(1)


CONTROLS: dict[str, Control] = {
    FLOOR: lambda clips, rng: clips,
    "frozen": frozen,
    "shuffled": shuffled,
    "reversed": reversed_in_time,
}


@dataclass(frozen=True)
class Halves:
    """Real clips in two halves, of different videos.

    Args:
        first: The reference of the rows.
        second: What is compared with it, as it is and spoilt; as many clips.
        items_per_clip: Of features.
    """

    first: list[ClipAddress]
    second: list[ClipAddress]
    items_per_clip: int = 1

    @classmethod
    def choose(cls, protocol: MetricProtocol, lengths: Int64[np.ndarray, " N"], unit: str, num_items: int) -> Halves:
        """Halves of as many items each as a draw of fakes has, of two videos at least, or of all there are.

        Args:
            protocol: Decides frames and seed.
            lengths: Frames of the real videos.
            unit: Of the feature network; for single frames clips of 16 are taken.
            num_items: Of a draw of fakes.
        """
        clip = protocol.clip if unit == "clip" else ClipChoice(max(protocol.clip.num_frames, _FRAMES))
        num_clips = num_items if unit == "clip" else max(2, -(-num_items // clip.num_frames))
        chosen = one_per_video(lengths, clip, protocol.seed, starts="random", order="random", max_num=2 * num_clips)
        even = len(chosen.clips) // 2 * 2
        return cls(chosen.clips[:even:2], chosen.clips[1:even:2], 1 if unit == "clip" else clip.num_frames)

    @property
    def num(self) -> int:
        """Items of a half."""
        return len(self.first) * self.items_per_clip

    def serve(self, measure: Measure) -> bool:
        """Whether there are the four videos that rows need, and the items that the measure needs."""
        return len(self.first) > 1 and self.num >= measure.min_items

    def num_frames(self, measure: Measure) -> int:
        """Frames that `sanity` looks at."""
        if not self.serve(measure):
            return 0
        return frames_of(self.second) * len(CONTROLS) + (frames_of(self.first) if measure.needs_reference else 0)


def sanity(halves: Halves, measure: Measure, reader: Reader, look: Look, work: Work, seed: int) -> dict[str, float]:
    """The rows: "real" (the floor), "frozen", "shuffled", "reversed"; and "num", the items on each side.

    Args:
        halves: Of the real clips.
        measure: What is computed.
        reader: Makes, for some groups of addresses, what reads them.
        look: Clips to features.
        work: Who does it.
        seed: Of what spoils clips.

    Returns:
        Empty where there are too few videos.
    """
    if not halves.serve(measure):
        return {}

    def summary(half: Group, control: Control) -> Any:
        groups = grouped(half, work.options.batch_frames)
        read = reader(groups)
        features = work.collect(groups, lambda group: look(_spoilt(read(group), group, control, seed)), frames_of)
        return measure.summarize(features, halves.num)

    reference = summary(halves.first, CONTROLS[FLOOR]) if measure.needs_reference else None
    rows = {name: measure.compare(reference, summary(halves.second, control)) for name, control in CONTROLS.items()}
    return rows | {"num": halves.num}


def _spoilt(clips: Tensor, group: Group, control: Control, seed: int) -> Tensor:
    """Clips under a control; what is random for a clip depends on its video alone, not on how clips are grouped."""
    rngs = (np.random.default_rng([seed, _STREAM, address.video]) for address in group)
    return torch.cat([control(clip, rng) for clip, rng in zip(clips.split(1), rngs, strict=True)])
