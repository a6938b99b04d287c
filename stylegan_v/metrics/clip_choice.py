"""Which clips are measured: numbers of videos and of frames, as functions of the videos' lengths and a seed.

Every draw for a video depends on the seed and the video's number alone, so no choice depends on how work is shared out
or on what else was chosen.

Shape legend
    N       videos
    K       clips
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int64

from errors import InputError
from stylegan_v.metrics.choices import ClipChoice, RealChoice

_OFFSET, _ORDER, _FRAMES, _FAKE_VIDEO, _FAKE_OFFSET = range(5)  # streams of random numbers


@dataclass(frozen=True)
class ClipAddress:
    """Frames of one video.

    Args:
        video: Its number in the collection.
        start: First frame.
        clip: How many, how far apart.
    """

    video: int
    start: int
    clip: ClipChoice

    @property
    def times(self) -> list[int]:
        """The numbers of the frames."""
        return list(range(self.start, self.start + self.clip.span, self.clip.stride))


@dataclass(frozen=True)
class Chosen:
    """Clips, and how many videos were too short for one.

    Args:
        clips: In the order in which they are measured.
        num_skipped: Videos that are too short.
    """

    clips: list[ClipAddress]
    num_skipped: int = 0


def choose_real(lengths: Int64[np.ndarray, " N"], real: RealChoice, clip: ClipChoice, seed: int) -> Chosen:
    """The clips of real videos that a protocol takes.

    Args:
        lengths: Frames of the videos.
        real: How clips are chosen; ``max_num`` counts clips where there is one per video, and frames otherwise.
        clip: Frames of a clip; single frames are read in runs of as many.
        seed: Of the draws.
    """
    if real.take == "one_clip_per_video":
        return one_per_video(lengths, clip, seed, starts=real.starts, order=real.order, max_num=real.max_num)
    if real.take == "every_frame":
        return Chosen(list(_every_frame(lengths, clip.num_frames, real.max_num)))
    return Chosen(_random_frames(lengths, real.max_num, seed))


def one_per_video(
    lengths: Int64[np.ndarray, " N"],
    clip: ClipChoice,
    seed: int,
    *,
    starts: Literal["random", "zero"],
    order: Literal["index", "random"],
    max_num: int | None,
) -> Chosen:
    """One clip of each video that is long enough (spec of StyleGAN-V's FVD: at a uniformly random offset).

    Args:
        lengths: Frames of the videos.
        clip: Frames of a clip.
        seed: Of the draws.
        starts: Whether offsets are random, over all at which the clip fits, or zero.
        order: Whether videos come as they are numbered, or in a random order.
        max_num: Take only the first so many; None: all.
    """
    usable = np.flatnonzero(lengths >= clip.required)
    videos = usable if order == "index" else np.random.default_rng([seed, _ORDER]).permutation(usable)
    offsets = (0 if starts == "zero" else offset(int(lengths[video]), clip, seed, int(video)) for video in videos)
    clips = [ClipAddress(int(video), start, clip) for video, start in zip(videos[:max_num], offsets, strict=False)]
    return Chosen(clips, len(lengths) - len(usable))


def offset(length: int, clip: ClipChoice, seed: int, video: int) -> int:
    """The random offset of the clip of one video, uniform over all at which it fits."""
    return int(np.random.default_rng([seed, _OFFSET, video]).integers(length - clip.span + 1))


def as_real(
    lengths: Int64[np.ndarray, " N"], clip: ClipChoice, numbers: Sequence[int], max_start: int, seed: int
) -> list[int]:
    """First times of generated clips, drawn as the offsets of clips of real videos are.

    Args:
        lengths: Frames of the real videos.
        clip: Frames of a clip.
        numbers: Of the generated videos; each has a draw of its own.
        max_start: Frames of a real video that are looked at.
        seed: Of the draws.

    Raises:
        InputError: No real video is long enough.
    """
    long_enough = lengths[lengths >= clip.required]
    if not len(long_enough):
        raise InputError(f"no real video has the {clip.required} frames of a clip, so there are no times to start at")
    usable = np.minimum(long_enough, max(max_start, clip.span))
    starts = []
    for number in numbers:
        rng = np.random.default_rng([seed, _FAKE_OFFSET, number])
        starts.append(int(rng.integers(int(rng.choice(usable)) - clip.span + 1)))
    return starts


def random_videos(num_videos: int, numbers: Sequence[int], seed: int) -> list[int]:
    """Numbers of random real videos, whose labels generated videos take.

    Args:
        num_videos: Real ones.
        numbers: Of the generated videos.
        seed: Of the draws.
    """
    return [int(np.random.default_rng([seed, _FAKE_VIDEO, number]).integers(num_videos)) for number in numbers]


def _every_frame(lengths: Int64[np.ndarray, " N"], run: int, max_num: int | None) -> Iterator[ClipAddress]:
    """All frames of all videos in order, in runs of neighbours."""
    left = int(lengths.sum()) if max_num is None else max_num
    for video, length in enumerate(lengths.tolist()):
        for start in range(0, length, run):
            num = min(run, length - start, left)
            if num <= 0:
                return
            yield ClipAddress(video, start, ClipChoice(num))
            left -= num


def _random_frames(lengths: Int64[np.ndarray, " N"], max_num: int | None, seed: int) -> list[ClipAddress]:
    """Different frames of all videos, each with equal chances; sorted, so that files are read forwards."""
    ends = np.cumsum(lengths)
    num = int(ends[-1]) if max_num is None else min(max_num, int(ends[-1]))
    chosen = np.sort(np.random.default_rng([seed, _FRAMES]).choice(int(ends[-1]), size=num, replace=False))
    videos = np.searchsorted(ends, chosen, side="right")
    starts = chosen - (ends - lengths)[videos]
    return [ClipAddress(int(video), int(start), ClipChoice(1)) for video, start in zip(videos, starts, strict=True)]
