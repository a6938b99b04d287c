"""Rows beside every score that say what it can see: real clips against other real ones, and against spoilt ones.

All rows are taken on two halves of the real clips, of different videos: the floor is one half against the other, and
each ceiling the first half against the second one frozen, shuffled or played backwards. A measure whose ceilings lie at
its floor does not see motion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64
from torch import Tensor

from stylegan_v.metrics.clip_choice import ClipAddress, one_per_video
from stylegan_v.metrics.collecting import Work, frames_of, grouped
from stylegan_v.metrics.controls import frozen, shuffled
from stylegan_v.metrics.measures import Measure
from stylegan_v.metrics.protocols import ClipChoice, MetricProtocol

FLOOR = "real"
_FRAMES = 16  # of clips from which single frames are taken
_STREAM = 10

Read = Callable[[list[ClipAddress]], Tensor]
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
        second: What is compared with it, as it is and spoilt.
    """

    first: list[ClipAddress]
    second: list[ClipAddress]

    @classmethod
    def choose(cls, protocol: MetricProtocol, lengths: Int64[np.ndarray, " N"], unit: str, num_items: int) -> Halves:
        """Halves of as many items each as a draw of fakes has, or of all there are.

        Args:
            protocol: Decides frames and seed.
            lengths: Frames of the real videos.
            unit: Of the feature network; for single frames clips of 16 are taken.
            num_items: Of a draw of fakes.
        """
        clip = protocol.clip if unit == "clip" else ClipChoice(max(protocol.clip.num_frames, _FRAMES))
        num_clips = num_items if unit == "clip" else -(-num_items // clip.num_frames)
        chosen = one_per_video(lengths, clip, protocol.seed, starts="random", order="random", max_num=2 * num_clips)
        even = len(chosen.clips) // 2 * 2
        return cls(chosen.clips[:even:2], chosen.clips[1:even:2])

    @property
    def enough(self) -> bool:
        """Whether there are the four videos that rows need."""
        return len(self.first) > 1

    def num_frames(self, measure: Measure) -> int:
        """Frames that `sanity` looks at."""
        passes = len(CONTROLS) + (1 if measure.needs_reference else 0)
        return frames_of(self.first) * passes if self.enough else 0


def sanity(halves: Halves, measure: Measure, read: Read, look: Look, work: Work, seed: int) -> dict[str, float]:
    """The rows: "real" (the floor), "frozen", "shuffled", "reversed"; and "num", the items on each side.

    Args:
        halves: Of the real clips.
        measure: What is computed.
        read: Addresses to clips.
        look: Clips to features.
        work: Who does it.
        seed: Of what spoils clips.

    Returns:
        Empty where there are too few videos.
    """
    if not halves.enough:
        return {}

    def summary(half: list[ClipAddress], control: Control) -> tuple[Any, int]:
        num_items = 0

        def features(group: list[ClipAddress]) -> Tensor:
            return look(control(read(group), np.random.default_rng([seed, _STREAM, group[0].video])))

        def counted() -> Iterator[Tensor]:
            nonlocal num_items
            for rows in work.collect(grouped(half, work.options.batch_frames), features, frames_of):
                num_items += len(rows)
                yield rows

        return measure.summarize(counted(), frames_of(half)), num_items

    reference = summary(halves.first, CONTROLS[FLOOR])[0] if measure.needs_reference else None
    spoilt = {name: summary(halves.second, control) for name, control in CONTROLS.items()}
    rows = {name: measure.compare(reference, other) for name, (other, _) in spoilt.items()}
    return rows | {"num": spoilt[FLOOR][1]}
