"""Videos watched frame by frame, in one pass: everything that the figures of motion are made of.

Shape legend
    F       frames of a video
    f       frames of one part of it
    H, W    height and width
    L       lags of the drift
    K       frequencies
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, UInt8
from torch import Tensor

from stylegan_v.metrics.motion import reversal
from stylegan_v.metrics.motion.change import FrameDifferences
from stylegan_v.metrics.motion.drift import drift_curve
from stylegan_v.metrics.motion.flow import Flow, FrameFlow
from stylegan_v.metrics.motion.frames import unit_frames
from stylegan_v.metrics.motion.knots import SecondDifferences
from stylegan_v.metrics.motion.recurrence import Recurrence, measure
from stylegan_v.metrics.motion.spectrum import MotionSpectrum, fitting_window
from stylegan_v.metrics.motion.thumbnails import Thumbnails


@dataclass(frozen=True)
class VideoMotion:
    """What was seen of one video.

    Attributes:
        times: Of its frames, counted from a knot, frames.
        knots: Which second differences lie at a knot; none where it has no knots.
        change: Mean squares of frame differences.
        bend: Mean squares of second differences.
        recurrence: How near it comes to its own past.
        drift: By lag.
        spectrum: Of its motion energy.
        flow: Displacements.
    """

    times: Float64[np.ndarray, " F"]
    knots: Bool[np.ndarray, " _"]
    change: Float64[np.ndarray, " _"]
    bend: Float64[np.ndarray, " _"]
    recurrence: Recurrence
    drift: Float64[np.ndarray, " L"]
    spectrum: Float64[np.ndarray, " K"]
    flow: Flow

    @cached_property
    def recurs(self) -> float:
        """Median recurrence."""
        return self.recurrence.median

    @cached_property
    def period(self) -> float:
        """Of its loop, frames; nan where there is none."""
        return self.recurrence.period

    @cached_property
    def reverses(self) -> bool:
        """Whether it moves forth and back."""
        return reversal.is_reversed(self.flow)

    @cached_property
    def has_direction(self) -> bool:
        """Whether reversal can be judged."""
        return reversal.has_direction(self.flow)

    @cached_property
    def speed(self) -> float:
        """Shorter sides per frame; nan where no displacement counts."""
        return reversal.speed(self.flow)

    @cached_property
    def directed(self) -> float:
        """Share of its displacements that count; nan where nothing moves."""
        return reversal.share_counted(self.flow)


def watch(
    parts: Iterable[UInt8[Tensor, "f 3 H W"]], times: Float64[np.ndarray, " F"], knots: Bool[np.ndarray, " _"]
) -> VideoMotion:
    """Watches one video.

    Args:
        parts: Its frames in order, any number at a time.
        times: Of all of them, counted from a knot, frames.
        knots: Of `knots.at_knots`.
    """
    change, bend, copies, flow = FrameDifferences(), SecondDifferences(), Thumbnails(), FrameFlow()
    spectrum = MotionSpectrum(fitting_window(len(times)))
    for part in parts:
        frames = unit_frames(part)
        for follower in (change, bend, copies, flow, spectrum):
            follower.add(frames)
    small = copies.result()
    return VideoMotion(
        times=times,
        knots=knots,
        change=change.result(),
        bend=bend.result(),
        recurrence=measure(small),
        drift=drift_curve(small),
        spectrum=spectrum.result(),
        flow=flow.result(),
    )
