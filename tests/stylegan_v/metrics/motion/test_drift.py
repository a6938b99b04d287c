from __future__ import annotations

import math

import numpy as np
import pytest

from errors import InputError
from stylegan_v.metrics.motion.drift import drift, drift_growth, drift_level
from tests.stylegan_v.metrics.motion.patterns import as_bytes, drifting, noise, still


def test_brightness_that_rises_evenly_drifts_evenly() -> None:
    rising = np.broadcast_to(np.linspace(-1, 1, 101)[:, None, None, None], (101, 3, 16, 16))
    (curve,) = drift(rising[None])
    assert curve.shape == (94,)
    np.testing.assert_allclose(curve, np.arange(94) / 100, atol=1e-3)
    # The last quarter is around lag 81.5, the second around 34.5.
    assert drift_level(curve) == pytest.approx(0.815, rel=0.01)
    assert drift_growth(curve) == pytest.approx(0.815 / 0.345, rel=0.02)


def test_pattern_that_goes_round_does_not_drift_away() -> None:
    t = np.arange(160)
    (curve,) = drift(as_bytes(drifting(t / 2, t / 3))[None])
    assert curve[0] < 1e-6 and drift_growth(curve) == pytest.approx(1, abs=0.15)


def test_curve_is_the_mean_distance_to_the_first_frames() -> None:
    clip = noise(12, (16, 16))
    frames = (clip / 255).reshape(12, -1)
    (curve,) = drift(clip[None], num_first=3)
    naive = [np.mean([np.sqrt(np.mean((frames[s + lag] - frames[s]) ** 2)) for s in range(3)]) for lag in range(10)]
    np.testing.assert_allclose(curve, naive, atol=1e-4)


def test_still_video_has_no_level_and_no_growth() -> None:
    (curve,) = drift(still(40)[None])
    assert drift_level(curve) < 1e-6 and math.isnan(drift_growth(np.zeros(20)))
    assert math.isnan(drift_level(np.zeros(3)))


def test_parts_do_not_matter() -> None:
    clips = noise(30)[None]
    assert np.array_equal(drift(clips, chunk=1), drift(clips, chunk=30))


def test_no_first_frame_is_refused() -> None:
    with pytest.raises(InputError, match="num_first"):
        drift(noise(4)[None], num_first=0)
