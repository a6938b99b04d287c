"""Recurrence: whether a video comes back to what it has shown before, and whether it loops.

With D the distance of `thumbnails`, P(lag) the mean of D(t, t - lag) over t, and gap = 64 frames:

    nearest(t)    = min over s < t - gap of D(t, s)                  the nearest frame more than 64 frames back
    recurrence(t) = nearest(t) / max over lag <= gap + 1 of P(lag)

so recurrence is 0 where the video repeats itself exactly, and about 1 where it is nowhere nearer to its past than it
moves within 64 frames. The figure of a video is the median over t. It falls with the length of the video (there is more
past to come near to) and depends on what is filmed: compare only with real videos of the same length. Slow videos that
have hardly moved after 64 frames, still ones above all (0 by definition), are near to their past without any loop.

A video loops if at some lag P falls to a quarter of the largest value that it has at shorter lags; the first such
minimum is its period, in frames, refined between whole frames by a parabola through P^2. Lags up to two thirds of the
length are looked at, so that every loop is seen one and a half times. Forth and back again counts as a loop, of both
ways together. Real waves and turning wheels loop as well.

Shape legend
    N, F    clips, frames of a clip
    f       frames of one part of a clip
    D       values of a small copy
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float16, Float64
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.motion.frames import Clips, each, follow
from stylegan_v.metrics.motion.thumbnails import Thumbnails, distances_to_earlier

GAP = 64
_DEPTH = 0.25  # of a minimum of P that is a loop
_STILL = 0.5 / 255  # a video that moves less than this does not leave, so it cannot come back


@dataclass(frozen=True)
class Recurrence:
    """How near a video comes to its own past.

    Attributes:
        nearest: Of every frame; nan up to frame ``gap``.
        profile: P, the mean distance of frames by lag; 0 at lag 0.
        gap: Frames that are too recent to count.
    """

    nearest: Float64[np.ndarray, " F"]
    profile: Float64[np.ndarray, " F"]
    gap: int = GAP

    @property
    def relative(self) -> Float64[np.ndarray, " F"]:
        """recurrence(t); nan up to frame ``gap``, 0 throughout a video that never moves."""
        reach = self.profile[: self.gap + 2].max()
        return self.nearest / reach if reach > 0 else 0 * self.nearest

    @property
    def median(self) -> float:
        """The figure; nan where the video is too short for it."""
        seen = self.relative[self.gap + 1 :]
        return float(np.median(seen)) if len(seen) else math.nan

    @property
    def period(self) -> float:
        """Of the loop, frames; nan where there is none."""
        return find_period(self.profile)


def measure(copies: Float16[Tensor, "F D"], gap: int = GAP) -> Recurrence:
    """How near a video comes to its own past; time grows with the square of the length, memory with the length.

    Args:
        copies: Of `thumbnails.Thumbnails`.
        gap: Frames that are too recent to count.
    """
    num = len(copies)
    nearest, total = torch.full((num,), math.nan, dtype=torch.float64), torch.zeros(num, dtype=torch.float64)
    for start, block in distances_to_earlier(copies):
        block = block.cpu()
        rows = torch.arange(start, start + len(block)).unsqueeze(1)
        lags = rows - torch.arange(block.shape[1])
        old = block.masked_fill(lags <= gap, math.inf).amin(dim=1)
        nearest[start : start + len(block)] = old.masked_fill(old == math.inf, math.nan)
        total.scatter_add_(0, lags.clamp(min=0).flatten(), block.masked_fill(lags <= 0, 0).flatten())
    pairs = torch.arange(num, 0, -1)
    return Recurrence(nearest.numpy(), (total / pairs).numpy(), gap)


def find_period(profile: Float64[np.ndarray, " F"]) -> float:
    """The lag at which a video comes back, frames; nan if it does not.

    Args:
        profile: P, from lag 0 on.
    """
    reached = np.maximum.accumulate(profile)
    for lag in range(2, 2 * len(profile) // 3):
        left, here, right = profile[lag - 1 : lag + 2]
        if here <= _DEPTH * reached[lag] and reached[lag] > _STILL and here <= min(left, right):
            return lag + _vertex(left**2, here**2, right**2)
    return math.nan


def _vertex(left: float, here: float, right: float) -> float:
    """Where the parabola through three neighbouring points has its minimum, relative to the middle one."""
    bend = left - 2 * here + right
    return (left - right) / (2 * bend) if bend > 0 else 0.0


def recurrence(clips: Clips, gap: int = GAP, *, chunk: int = 32) -> list[Recurrence]:
    """How near each clip comes to its own past; see the head of the file.

    Args:
        clips: Bytes, or floats in [-1, 1].
        gap: Frames that are too recent to count, not negative.
        chunk: Frames looked at together; does not change the result.
    """
    if gap < 0:
        raise InputError(f"gap: {gap} frames are not possible: give 0 or more")
    return [measure(follow(Thumbnails(), clip, chunk), gap) for clip in each(clips)]
