"""Which moments of a fitted video make the frames of a file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from datasets.video_writer import exact_rate
from errors import InputError
from generate_options import MAX_FRAMES, PlaybackOptions

_FINEST = 10**6  # largest denominator of speeds and moments, so that no rounding adds up


@dataclass(frozen=True)
class Timing:
    """Frames of a file, as places between those of the video.

    Attributes:
        first: Place of the first, in frames of the video, from 0 on.
        step: From one to the next.
        count: How many.
        fps: Of the file.
        length: Frames of the video.
    """

    first: Fraction
    step: Fraction
    count: int
    fps: Fraction
    length: int

    def index(self, number: int) -> float:
        """The place of a frame; the last frame of the video is held to its end."""
        return float(min(self.first + number * self.step, Fraction(self.length - 1)))

    @property
    def between(self) -> bool:
        """Whether any of them lies between two frames of the video."""
        return (self.count > 1 and self.step.denominator > 1) or self.first.denominator > 1


def choose_timing(options: PlaybackOptions, length: int, fps: float | None, what: str) -> Timing:
    """The frames of a file.

    Args:
        options: What is asked for.
        length: Frames of the video.
        fps: Frames per second of it; None: unknown.
        what: The video's name, for messages.

    Raises:
        InputError: Its rate is unknown, or it is shorter than what is asked for.
    """
    known = options.data_fps if options.data_fps is not None else fps
    if known is None:
        raise InputError(f"data_fps: {what} does not say how fast its video runs: give its frames per second")
    clock = exact_rate(known)
    rate = clock if options.fps is None else exact_rate(options.fps)
    speed = _exact(options.speed or 1.0) if options.slow is None else 1 / _exact(options.slow)
    first, step = _exact(options.start) * clock, speed * clock / rate
    if first >= length:
        raise InputError(f"start: {options.start:g}: the video has {float(length / clock):g} seconds: give less")
    count = _count(options, rate, math.ceil((length - first) / step))
    if count > MAX_FRAMES:
        raise InputError(f"speed: the file would have {count} frames: give at most {MAX_FRAMES} of them")
    return Timing(first, step, count, rate, length)


def _count(options: PlaybackOptions, rate: Fraction, most: int) -> int:
    count = most if options.seconds is None else max(1, round(_exact(options.seconds) * rate))
    count = options.num_frames or count
    if count > most:
        key = "num_frames" if options.num_frames else "seconds"
        raise InputError(
            f"{key}: {count} frames of the file are asked for, the video has {most} from there on: give less"
        )
    return count


def _exact(value: float) -> Fraction:
    """A number as it was written, as far as that matters."""
    found = Fraction(value).limit_denominator(_FINEST)
    return found if found or not value else Fraction(value)
