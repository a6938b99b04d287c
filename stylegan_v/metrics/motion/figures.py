"""The table of figures: of generated and of real videos, each with its spread over the videos.

Shape legend
    K       frequencies
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from stylegan_v.metrics.motion.drift import drift_growth, drift_level
from stylegan_v.metrics.motion.knots import jump_ratio
from stylegan_v.metrics.motion.spectrum import spectrum_distance
from stylegan_v.metrics.motion.watch import VideoMotion

Videos = Sequence[VideoMotion]
_RESAMPLES = 200


@dataclass(frozen=True)
class Estimate:
    """A figure and how far it might be off.

    Attributes:
        value: nan where it cannot be told.
        spread: Standard deviation when the videos are drawn anew from those seen, with repetition (bootstrap).
    """

    value: float
    spread: float


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        title: What the figure is, with its unit.
        good: Which values are good, in a few words.
        fake: Of generated videos.
        real: Of real ones.
    """

    title: str
    good: str
    fake: Estimate
    real: Estimate


def _mean(values: Sequence[float]) -> float:
    """Without those that cannot be told; nan if none can."""
    told = [value for value in values if not math.isnan(value)]
    return float(np.mean(told)) if told else math.nan


def _frame_change(videos: Videos) -> float:
    return 255 * math.sqrt(np.mean([video.change.mean() for video in videos]))


def _knot_jump(videos: Videos) -> float:
    return jump_ratio(np.stack([video.bend for video in videos]), np.stack([video.knots for video in videos]))


def _drift(videos: Videos) -> Float64[np.ndarray, " L"]:
    return np.mean([video.drift for video in videos], axis=0)


def _looping(videos: Videos) -> float:
    return float(np.mean([not math.isnan(video.period) for video in videos]))


# By name: title, what is good, and the figure of videos.
FIGURES: dict[str, tuple[str, str, Callable[[Videos], float]]] = {
    "frame_change": ("frame change, grey levels", "as real", _frame_change),
    "knot_jump": ("knot jump", "1", _knot_jump),
    "recurrence": ("recurrence", "as real; 0: repeats", lambda videos: _mean([v.recurs for v in videos])),
    "looping": ("looping, share of videos", "as real", _looping),
    "drift_level": ("drift, level", "as real", lambda videos: drift_level(_drift(videos))),
    "drift_growth": ("drift, growth", "as real", lambda videos: drift_growth(_drift(videos))),
    "reversal_rate": ("reversal, share of videos", "as real", lambda videos: _mean([v.reverses for v in videos])),
    "directed": (
        "clear direction, share of frames",
        "as real",
        lambda videos: _mean([v.directed for v in videos]),
    ),
    "speed": ("speed, % of the side per frame", "as real", lambda videos: 100 * _mean([v.speed for v in videos])),
}


def mean_spectrum(videos: Videos) -> Float64[np.ndarray, " K"]:
    """Mean density of motion energy."""
    return np.mean([video.spectrum for video in videos], axis=0)


def estimate(value: Callable[[Videos], float], videos: Videos, seed: int) -> Estimate:
    """A figure of videos and its spread.

    Args:
        value: The figure.
        videos: Of one kind.
        seed: Of the resampling.
    """
    rng = np.random.default_rng([seed, 0])
    draws = (rng.integers(len(videos), size=len(videos)) for _ in range(_RESAMPLES))
    return Estimate(float(value(videos)), _spread([value([videos[i] for i in draw]) for draw in draws]))


def distance_to(fake: Videos, real: Videos, seed: int) -> Estimate:
    """Spectrum distance of generated to real videos.

    Args:
        fake: Generated.
        real: Real.
        seed: Of the resampling.
    """
    rng = np.random.default_rng([seed, 1])
    first, second = (np.stack([video.spectrum for video in videos]) for videos in (fake, real))
    values = []
    for _ in range(_RESAMPLES):
        draws = (spectra[rng.integers(len(spectra), size=len(spectra))].mean(axis=0) for spectra in (first, second))
        values.append(spectrum_distance(*draws))
    return Estimate(spectrum_distance(first.mean(axis=0), second.mean(axis=0)), _spread(values))


def distance_within(real: Videos, seed: int) -> Estimate:
    """Spectrum distance of two halves of real videos: mean over random halvings, and its standard deviation.

    Args:
        real: At least 2.
        seed: Of the halvings.
    """
    rng = np.random.default_rng([seed, 2])
    spectra, half, values = np.stack([video.spectrum for video in real]), len(real) // 2, []
    for _ in range(_RESAMPLES):
        order = rng.permutation(len(spectra))
        values.append(spectrum_distance(spectra[order[:half]].mean(axis=0), spectra[order[half:]].mean(axis=0)))
    return Estimate(float(np.mean(values)), _spread(values))


def _spread(values: Sequence[float]) -> float:
    told = [value for value in values if not math.isnan(value)]
    return float(np.std(told, ddof=1)) if len(told) > 1 else math.nan


def table(fake: Videos, real: Videos, seed: int) -> dict[str, Row]:
    """All figures by name; the real videos' own spectrum distance is that of their halves.

    Args:
        fake: Generated.
        real: Real, of the same number of frames.
        seed: Of the resampling.
    """
    rows = {
        name: Row(title, good, estimate(value, fake, seed), estimate(value, real, seed))
        for name, (title, good, value) in FIGURES.items()
    }
    distances = distance_to(fake, real, seed), distance_within(real, seed)
    return rows | {"spectrum_distance": Row("spectrum distance, dB", "as real", *distances)}


def median_period(videos: Videos) -> float:
    """Of the videos that loop, frames; nan where none does."""
    periods = [video.period for video in videos if not math.isnan(video.period)]
    return float(np.median(periods)) if periods else math.nan
