"""Which frames of a video make a clip (StyleGAN-V, Skorokhodov et al. 2022: a few frames at irregular times).

A sampler first draws a pattern, the distances of the k frames from the first one, and then where the pattern starts.
The same sampler serves both sides of the game: whole frame numbers of real videos, and real-valued times of generated
ones, whose starts are drawn from the same interval so that the two have the same statistics.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Int64, Num

from errors import InputError

POWERS_OF_TWO = tuple(2**i for i in range(12))


class FrameSampler(ABC):
    """Draws the times of one clip; a subclass says which patterns are possible.

    Args:
        num_frames: Frames per clip k, at least 1.
        max_num_frames: Longest stretch of a video, in frames, that training looks at; of a longer video the caller
            chooses a window of this many frames and counts times from its start.
    """

    def __init__(self, num_frames: int = 3, max_num_frames: int = 1024) -> None:
        if num_frames < 1:
            raise InputError(f"num_frames: {num_frames} frames make no clip; give at least 1")
        if max_num_frames < num_frames:
            raise InputError(f"max_num_frames: {max_num_frames} is less than num_frames ({num_frames}); raise it")
        self.num_frames, self.max_num_frames = num_frames, max_num_frames

    @abstractmethod
    def pattern(self, length: int, rng: np.random.Generator) -> Int64[np.ndarray, " k"]:
        """Distances of the frames, two or more, from the first one: sorted, distinct, [0, ..., at most length - 1]."""

    def sample(self, length: int, rng: np.random.Generator, *, fractional: bool = False) -> Num[np.ndarray, " k"]:
        """Times of one clip of a video of ``length`` frames, sorted, within [0, length - 1].

        Args:
            length: Frames of the video, at least ``num_frames``.
            rng: Where the draws come from.
            fractional: Start at a real-valued time, as generated clips do; distances stay whole.

        Returns:
            Frame numbers, int64, or float64 times when ``fractional``.
        """
        if length < self.num_frames:
            raise ValueError(f"a video of {length} frames has no clip of {self.num_frames}")
        pattern = self.pattern(length, rng) if self.num_frames > 1 else np.zeros(1, dtype=np.int64)
        slack = length - 1 - int(pattern[-1])
        start = rng.uniform() * slack if fractional else rng.integers(slack + 1)
        return start + pattern


class RandomSpans(FrameSampler):
    """First and last frame a listed distance apart, the others anywhere between them (the published sampling).

    Args:
        num_frames: Frames per clip k.
        spans: Distances between the first and the last frame to choose from, with equal chances among those that
            fit; None: every distance from k - 1 up to, but without, the largest that fits.
        max_distance: Largest distance between the first and the last frame.
        max_num_frames: Longest stretch of a video, in frames, that training looks at.
    """

    def __init__(
        self,
        num_frames: int = 3,
        spans: tuple[int, ...] | None = POWERS_OF_TWO,
        max_distance: int = 32,
        max_num_frames: int = 1024,
    ) -> None:
        super().__init__(num_frames, max_num_frames)
        self.spans, self.max_distance = spans, max_distance

    def pattern(self, length: int, rng: np.random.Generator) -> Int64[np.ndarray, " k"]:
        shortest, longest = self.num_frames - 1, min(length - 1, self.max_distance)
        if self.spans is None:
            fitting = range(shortest, longest)
        else:
            fitting = [span for span in self.spans if shortest <= span <= longest]
        # The original fails when nothing fits (short videos); every distance that is possible at all is allowed then.
        fitting = fitting or range(shortest, min(length - 1, max(self.max_distance, shortest)) + 1)
        return _spread(fitting[rng.integers(len(fitting))], self.num_frames, rng)


class UniformSpacing(FrameSampler):
    """Frames a constant distance apart.

    Args:
        num_frames: Frames per clip k.
        spacings: Distances between neighbours to choose from, with equal chances among those that fit; None: every
            distance that fits.
        max_distance: Largest distance between the first and the last frame.
        max_num_frames: Longest stretch of a video, in frames, that training looks at.
    """

    def __init__(
        self,
        num_frames: int = 3,
        spacings: tuple[int, ...] | None = POWERS_OF_TWO,
        max_distance: int = 32,
        max_num_frames: int = 1024,
    ) -> None:
        super().__init__(num_frames, max_num_frames)
        self.spacings, self.max_distance = spacings, max_distance

    def pattern(self, length: int, rng: np.random.Generator) -> Int64[np.ndarray, " k"]:
        gaps = self.num_frames - 1
        longest = min(length - 1, max(self.max_distance, gaps)) // gaps
        listed = range(1, longest + 1) if self.spacings is None else self.spacings
        fitting = [spacing for spacing in listed if 1 <= spacing <= longest] or range(1, longest + 1)
        return fitting[rng.integers(len(fitting))] * np.arange(self.num_frames, dtype=np.int64)


class HeavyTailed(FrameSampler):
    """Clips of every time scale: the distance from the first to the last frame is log-uniform.

    The published samplings never show the discriminator more than 32 frames at once; this one reaches from the densest
    clip to the whole video.

    Args:
        num_frames: Frames per clip k.
        max_num_frames: Longest stretch of a video, in frames, that training looks at.
    """

    def __init__(self, num_frames: int = 3, max_num_frames: int = 1024) -> None:
        super().__init__(num_frames, max_num_frames)

    def pattern(self, length: int, rng: np.random.Generator) -> Int64[np.ndarray, " k"]:
        shortest, longest = self.num_frames - 1, min(length, self.max_num_frames) - 1
        # Whole distance n gets the mass of [n, n + 1) under a density proportional to 1 / x.
        span = int(math.exp(rng.uniform(math.log(shortest), math.log(longest + 1))))
        return _spread(min(max(span, shortest), longest), self.num_frames, rng)


def _spread(span: int, num_frames: int, rng: np.random.Generator) -> Int64[np.ndarray, " k"]:
    """0, ``span``, and distinct whole numbers between them, sorted."""
    # Of two frames nothing lies between them, and choice() refuses to draw from an empty range.
    interior = 1 + rng.choice(span - 1, size=num_frames - 2, replace=False) if num_frames > 2 else []
    return np.sort(np.array([0, span, *interior], dtype=np.int64))
