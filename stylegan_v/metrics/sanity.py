"""Rows beside every score that say what it can see: real clips against other real ones, and against spoilt ones.

All rows are taken on two halves of the real clips, of different videos: the floor is one half against the other, and
each ceiling the first half against the second one frozen, shuffled or played backwards. A measure whose ceilings lie at
its floor does not see motion.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from stylegan_v.metrics.clip_choice import ClipAddress, one_per_video
from stylegan_v.metrics.collecting import Work, grouped
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


def sanity_clips(protocol: MetricProtocol, real: RealSide, unit: str) -> tuple[list[ClipAddress], list[ClipAddress]]:
    """Two halves of real clips, of different videos.

    Args:
        protocol: Decides frames and seed.
        real: Where they come from.
        unit: Of the feature network; for single frames clips of 16 are taken.
    """
    clip = protocol.clip if unit == "clip" else ClipChoice(max(protocol.clip.num_frames, _FRAMES))
    most = _MAX_CLIPS if unit == "clip" else _MAX_CLIPS // _FRAMES
    clips = one_per_video(real.videos.lengths, clip, protocol.seed, starts="random", order="random", max_num=most).clips
    even = len(clips) // 2 * 2
    return clips[:even:2], clips[1:even:2]


def sanity_frames(protocol: MetricProtocol, real: RealSide, unit: str, measure: Measure) -> int:
    """Frames that `sanity` looks at."""
    first, _ = sanity_clips(protocol, real, unit)
    rows = len(CONTROLS) + (1 if measure.needs_reference else 0)
    return sum(address.clip.num_frames for address in first) * rows if len(first) > 1 else 0


def sanity(
    protocol: MetricProtocol,
    real: RealSide,
    unit: str,
    measure: Measure,
    size: tuple[int, int],
    look: Look,
    work: Work,
) -> dict[str, float]:
    """The rows: "real" (the floor), "frozen", "shuffled", "reversed", and "num" items on each side.

    Args:
        protocol: Decides frames and seed.
        real: Where clips come from.
        unit: Of the feature network.
        measure: What is computed.
        size: Height and width that frames are brought to.
        look: Clips to features.
        work: Who does it.

    Returns:
        Empty where there are fewer than four videos that are long enough.
    """
    first, second = sanity_clips(protocol, real, unit)
    if len(first) < 2:
        return {}
    per_clip = 1 if unit == "clip" else first[0].clip.num_frames

    def summary(half: list[ClipAddress], control: Callable[[Tensor, np.random.Generator], Tensor]) -> object:
        def features(group: list[ClipAddress]) -> Tensor:
            rng = np.random.default_rng([protocol.seed, _STREAM, group[0].video])
            return look(control(real.read(group, size), rng))

        groups = grouped(half, work.options.batch_frames)
        collected = work.collect(groups, features, lambda group: sum(a.clip.num_frames for a in group))
        return measure.summarize(collected, len(half) * per_clip)

    reference = summary(first, CONTROLS[FLOOR]) if measure.needs_reference else None
    compare = partial(measure.compare, reference)
    rows = {name: compare(summary(second, control)) for name, control in CONTROLS.items()}
    return rows | {"num": len(second) * per_clip}
