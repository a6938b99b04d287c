from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from stylegan_v.metrics.motion.figures import (
    FIGURES,
    distance_to,
    distance_within,
    estimate,
    mean_spectrum,
    median_period,
    table,
)
from stylegan_v.metrics.motion.knots import at_knots, knot_jump
from stylegan_v.metrics.motion.reversal import reversal_rate
from stylegan_v.metrics.motion.spectrum import spectrum_distance
from stylegan_v.metrics.motion.watch import VideoMotion, watch
from tests.stylegan_v.metrics.motion.patterns import as_bytes, drifting, still

NUM_FRAMES = 144


def going(speeds: list[float], back: float = math.inf) -> np.ndarray:
    """A clip for each speed; after ``back`` frames it turns round."""
    t = np.arange(NUM_FRAMES)
    way = [v * (t if math.isinf(back) else np.abs((t + back) % (2 * back) - back)) for v in speeds]
    return np.stack([as_bytes(drifting(0.4 * w, w, seed=seed)) for seed, w in enumerate(way)])


def watched(clips: np.ndarray) -> list[VideoMotion]:
    times = np.arange(float(NUM_FRAMES))
    return [watch([torch.from_numpy(clip)], times, at_knots(times, 16)) for clip in clips]


@pytest.fixture(scope="module")
def steady() -> list[VideoMotion]:
    return watched(going([0.23, 0.41, 0.37, 0.31]))


@pytest.fixture(scope="module")
def springs() -> list[VideoMotion]:
    return watched(going([0.2, 0.4, 0.3, 0.35], back=16))


def value(name: str, videos: list[VideoMotion]) -> float:
    return estimate(FIGURES[name][2], videos, 0).value


def test_figures_of_known_motion(steady: list[VideoMotion], springs: list[VideoMotion]) -> None:
    assert value("reversal_rate", steady) == 0 and value("reversal_rate", springs) == 1
    assert value("looping", springs) == 1 and median_period(springs) == pytest.approx(32, abs=0.2)
    assert value("recurrence", springs) < 0.1 < value("recurrence", steady)
    assert value("knot_jump", steady) == pytest.approx(1, abs=0.1) and value("knot_jump", springs) > 3
    assert value("directed", steady) > 0.9
    assert value("speed", steady) == pytest.approx(100 * np.hypot(1, 0.4) * 0.33 / 32, rel=0.1)


def test_figures_are_those_of_the_clips(springs: list[VideoMotion]) -> None:
    clips = going([0.2, 0.4, 0.3, 0.35], back=16)
    assert value("knot_jump", springs) == pytest.approx(knot_jump(clips, 16), rel=1e-9)
    assert value("reversal_rate", springs) == reversal_rate(clips)


def test_spread_is_that_of_the_videos(steady: list[VideoMotion], springs: list[VideoMotion]) -> None:
    half = [*steady, *springs]
    found = estimate(FIGURES["reversal_rate"][2], half, 0)
    assert found.value == 0.5 and found.spread == pytest.approx(math.sqrt(0.25 / 8), rel=0.2)
    assert estimate(FIGURES["reversal_rate"][2], springs, 0).spread == 0
    assert estimate(FIGURES["speed"][2], half, 1) == estimate(FIGURES["speed"][2], half, 1)
    assert estimate(FIGURES["speed"][2], half, 1).spread != estimate(FIGURES["speed"][2], half, 2).spread


def test_distances_of_spectra(steady: list[VideoMotion], springs: list[VideoMotion]) -> None:
    assert distance_to(steady, steady, 0).value == 0
    expected = spectrum_distance(mean_spectrum(steady), mean_spectrum(springs))
    assert distance_to(steady, springs, 0).value == pytest.approx(expected)
    assert 0 < distance_within(steady, 0).value < distance_to(springs, steady, 0).value
    assert distance_within([steady[0], steady[0]], 0).value == 0


def test_what_cannot_be_told_is_no_number() -> None:
    frozen = watched(np.stack([still(NUM_FRAMES)] * 2))
    rows = table(frozen, frozen, 0)
    assert list(rows) == [*FIGURES, "spectrum_distance"]
    unknown = {name for name, row in rows.items() if math.isnan(row.fake.value)}
    assert unknown == {"drift_growth", "directed", "speed"}
    assert rows["frame_change"].fake.value == rows["recurrence"].real.value == rows["looping"].fake.value == 0
    assert math.isnan(median_period(frozen))
