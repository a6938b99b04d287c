"""Knot jumps: whether frames change their speed where one motion code hands over to the next.

A continuous motion whose speed jumps at the knots, every ``distance`` frames, shows in the second difference of the
frames, a(t) = f(t + 1) - 2 f(t) + f(t - 1). The figure is the quotient

    knot jump = sqrt(mean of a^2 over the t at knots / mean of a^2 over all other t),

with means over pixels, times and clips; it has no unit. About 1: the knots cannot be seen, which is also what real
videos give at any phase of imagined knots. Clearly more than 1: a jerk at every knot.

Limits: byte frames have a rounding noise of 0.7 grey levels in a, which hides the knots of very slow motion; cuts and
flashes of real videos count wherever they fall; at least one knot must lie inside the clip.

Shape legend
    N, F    clips, frames of a clip
    f       frames of one part of a clip
    H, W    height and width
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.motion.frames import Clips, each, follow

_FLOOR = (0.01 / 255) ** 2  # a hundredth of a grey level, on both sides of the quotient: a still video has 1
_UNEVEN = 1e-6


class SecondDifferences:
    """Mean square of a(t) over the pixels, for every frame but the first and the last; a follower of one video."""

    def __init__(self) -> None:
        self._last: Tensor | None = None
        self._squares: list[Tensor] = []

    def add(self, frames: Float[Tensor, "f 3 H W"]) -> None:
        seen = frames if self._last is None else torch.cat([self._last, frames])
        if len(seen) > 2:
            bend = seen[2:] - 2 * seen[1:-1] + seen[:-2]
            self._squares.append(bend.double().square().mean(dim=(1, 2, 3)).cpu())
        self._last = seen[-2:]

    def result(self) -> Float64[np.ndarray, " _"]:
        """[F - 2], squares of the pixels' range."""
        return torch.cat(self._squares).numpy() if self._squares else np.zeros(0)


def at_knots(times: Float[np.ndarray, " F"], distance: float, phase: float = 0.0) -> Bool[np.ndarray, " _"]:
    """Which of the F - 2 second differences have a knot strictly between their outer frames.

    Args:
        times: Of the frames, evenly spaced and ascending, frames.
        distance: Between two knots, frames.
        phase: Time of one knot, frames.

    Raises:
        InputError: Times that are not evenly spaced, or no distance.
    """
    steps = np.diff(times)
    if len(times) > 1 and not (steps[0] > 0 and np.allclose(steps, steps[0], rtol=_UNEVEN, atol=0)):
        raise InputError("times: second differences need evenly spaced, ascending times: give others")
    if not (distance > 0 and math.isfinite(distance)):
        raise InputError(f"distance: {distance} frames between knots are not possible: give a positive number")
    after_left = np.floor((times[:-2] - phase) / distance) + 1
    before_right = np.ceil((times[2:] - phase) / distance) - 1
    return before_right >= after_left


def jump_ratio(squares: Float64[np.ndarray, "N _"], knots: Bool[np.ndarray, "N _"]) -> float:
    """The figure from `SecondDifferences` of clips; nan without knots, or with nothing else."""
    if knots.all() or not knots.any():
        return math.nan
    return math.sqrt((squares[knots].mean() + _FLOOR) / (squares[~knots].mean() + _FLOOR))


def phase_profile(
    squares: Float64[np.ndarray, "N _"], times: Float[np.ndarray, "N F"], distance: int
) -> Float64[np.ndarray, " distance"]:
    """Root mean square of a(t) by the place between two knots, over that of all places: where any jerk sits.

    Args:
        squares: Of `SecondDifferences`.
        times: Of the frames; whole numbers.
        distance: Between two knots, frames.

    Returns:
        At whole frames after a knot, 0 to distance - 1; nan where no frame was.
    """
    place = np.rint(times[:, 1:-1]).astype(np.int64).ravel() % distance
    count = np.bincount(place, minlength=distance)
    total = np.bincount(place, weights=squares.ravel(), minlength=distance)
    with np.errstate(invalid="ignore"):
        return np.sqrt((total / count + _FLOOR) / (squares.mean() + _FLOOR))


def knot_jump(
    clips: Clips,
    distance: float,
    times: Float[np.ndarray, " F"] | None = None,
    *,
    phase: float = 0.0,
    chunk: int = 32,
) -> float:
    """The figure of clips; see the head of the file.

    Args:
        clips: Bytes, or floats in [-1, 1].
        distance: Between two knots, frames.
        times: Of the frames; None: 0, 1, 2, ...
        phase: Time of one knot; for real clips any will do.
        chunk: Frames looked at together; does not change the result.

    Returns:
        The quotient; nan where there is no knot inside.
    """
    squares = np.stack([follow(SecondDifferences(), clip, chunk) for clip in each(clips)])
    times = np.arange(clips.shape[1], dtype=np.float64) if times is None else times
    return jump_ratio(squares, np.broadcast_to(at_knots(times, distance, phase), squares.shape))
