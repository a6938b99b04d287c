"""Reversal rate: the share of clips that move one way and then back again, like a spring.

The main direction of a clip is the principal axis of its displacements (`flow`), the eigenvector of the largest
eigenvalue of sum of shift shift^T, without taking a mean away. The speed along it is put to 0 where the displacement
explains less than 0.4 of the difference of its frames, and is smoothed by a running median of five; its sum is the
path. The clip reverses if the path, having gone at least h one way, comes back by at least h from where it turned, with

    h = max(0.25 (largest - smallest value of the path), 0.02 shorter sides of the frame).

Where less than half of the displacements between differing frames explain so much, the clip does not move in a way that
has a direction, and does not reverse. So jitter, noise and still pictures do not count. The rate is the share of clips
that reverse, 0 to 1. Real videos are not
at 0: waves, people who nod and things that circle reverse as well, and longer clips more often; a generator is at fault
where its rate is clearly above that of real clips of the same length. The speed, the mean length of the displacements
that count, in pixels per frame, says whether there was movement at all to judge by.

Shape legend
    N, F    clips, frames of a clip
    P       pairs of neighbouring frames
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float64

from stylegan_v.metrics.motion.flow import Flow, flow
from stylegan_v.metrics.motion.frames import Clips

_EXPLAINED, _SHARE_EXPLAINED = 0.4, 0.5
_SHARE_OF_RANGE, _SMALLEST_TURN = 0.25, 0.02
_MEDIAN = 5  # speeds


def counted(found: Flow) -> Bool[np.ndarray, " P"]:
    """Which displacements explain enough of the difference of their frames."""
    return found.explained >= _EXPLAINED


def share_counted(found: Flow) -> float:
    """Share of the displacements between differing frames that explain enough; nan where no two frames differ."""
    differing = found.explained != 0
    return float(counted(found)[differing].mean()) if differing.any() else math.nan


def has_direction(found: Flow) -> bool:
    """Whether enough displacements count for a main direction; a still clip has none."""
    return share_counted(found) >= _SHARE_EXPLAINED  # not for nan


def path(found: Flow) -> Float64[np.ndarray, " P"]:
    """Way along the main direction after each frame, in shorter sides of the frame; the sign is arbitrary."""
    shift = found.shift * counted(found)[:, None]
    _, axes = np.linalg.eigh(shift.T @ shift)
    speed = shift @ axes[:, -1]
    around = np.pad(speed, _MEDIAN // 2, mode="reflect") if len(speed) else np.zeros(_MEDIAN)
    return np.cumsum(np.median(np.lib.stride_tricks.sliding_window_view(around, _MEDIAN), axis=1))


def num_turns(way: Float64[np.ndarray, " P"], least: float) -> int:
    """How often a path turns back, not counting what is shorter than ``least``.

    Args:
        way: Position by time; it begins at 0, before the first value.
        least: Length of a stretch that counts, more than 0.
    """
    turns, heading, low, high = 0, 0, 0.0, 0.0
    for position in way.tolist():
        low, high = min(low, position), max(high, position)
        if heading >= 0 and position <= high - least:
            turns, heading, low, high = turns + (heading > 0), -1, position, position
        elif heading <= 0 and position >= low + least:
            turns, heading, low, high = turns + (heading < 0), 1, position, position
    return turns


def is_reversed(found: Flow) -> bool:
    """Whether a clip comes back by more than jitter."""
    if not has_direction(found):
        return False
    way = path(found)
    extent = max(float(way.max()), 0.0) - min(float(way.min()), 0.0)
    return num_turns(way, max(_SHARE_OF_RANGE * extent, _SMALLEST_TURN)) > 0


def speed(found: Flow) -> float:
    """Mean length of the displacements that count, shorter sides per frame; nan where none does."""
    lengths = np.linalg.norm(found.shift[counted(found)], axis=1)
    return float(lengths.mean()) if len(lengths) else math.nan


def reversal_rate(clips: Clips, *, chunk: int = 32) -> float:
    """Share of clips that reverse; see the head of the file.

    Args:
        clips: Bytes, or floats in [-1, 1].
        chunk: Frames looked at together; does not change the result.
    """
    return float(np.mean([is_reversed(found) for found in flow(clips, chunk=chunk)]))
