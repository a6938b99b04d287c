from __future__ import annotations

import math

import numpy as np
import pytest

from errors import InputError
from stylegan_v.metrics.motion.frames import follow
from stylegan_v.metrics.motion.knots import SecondDifferences, at_knots, knot_jump, phase_profile
from tests.stylegan_v.metrics.motion.patterns import as_bytes, drifting, noise, still

DISTANCE = 16


def bent(num_frames: int, phase: float = 0.0, seed: int = 0) -> np.ndarray:
    """A pattern whose velocity is constant between knots and another one after each, floats [F, 3, H, W]."""
    rng = np.random.default_rng(seed)
    t = np.arange(num_frames, dtype=np.float64)
    knots = phase + DISTANCE * np.arange(-1, num_frames // DISTANCE + 2)
    return drifting(*(np.interp(t, knots, rng.uniform(-8, 8, len(knots)).cumsum()) for _ in range(2)), seed=seed)


def smooth(num_frames: int, seed: int = 0) -> np.ndarray:
    """A pattern on a path of slow sines that do not know of knots, floats [F, 3, H, W]."""
    rng, t = np.random.default_rng(seed), np.arange(num_frames)
    return drifting(*(6 * np.sin(2 * np.pi * t / rng.uniform(45, 75) + rng.uniform(0, 6)) for _ in range(2)), seed=seed)


def test_piecewise_linear_motion_jumps_and_smooth_motion_does_not() -> None:
    jerky, even = (np.stack([as_bytes(make(129, seed=seed)) for seed in range(4)]) for make in (bent, smooth))
    assert knot_jump(jerky, DISTANCE) > 3
    assert knot_jump(even, DISTANCE) == pytest.approx(1, abs=0.1)


def test_jumps_are_seen_only_at_their_phase() -> None:
    clips = bent(129, phase=5)[None]
    assert knot_jump(clips, DISTANCE, phase=5) > 3
    assert knot_jump(clips, DISTANCE) < 1
    # Times that are counted from the knots say the same.
    assert knot_jump(clips, DISTANCE, np.arange(129) + 11.0) == knot_jump(clips, DISTANCE, phase=5)


def test_closed_form_of_a_ramp() -> None:
    # Brightness of slope 0 up to frame 8 and then of slope s: one second difference is s, all others are 0.
    level = np.maximum(np.arange(17) - 8, 0) / 100
    clip = np.broadcast_to(level[:, None, None, None], (17, 3, 4, 4))
    squares = follow(SecondDifferences(), 2 * clip - 1, 3)
    assert squares.shape == (15,)
    assert squares[7] == pytest.approx(0.01**2, rel=1e-3) and np.delete(squares, 7).max() < 1e-10


def test_still_clips_have_no_jump_and_noise_has_none() -> None:
    assert knot_jump(still(40)[None], DISTANCE) == 1
    assert knot_jump(noise(100)[None], DISTANCE) == pytest.approx(1, abs=0.05)


def test_knots_between_the_outer_frames_count() -> None:
    at = at_knots(np.arange(10.0), 4)
    assert (np.flatnonzero(at) + 1).tolist() == [4, 8]
    half = at_knots(np.arange(10) / 2, 4)  # times 0 to 4.5: the knot at 4 is frame 8
    assert (np.flatnonzero(half) + 1).tolist() == [8]
    between = at_knots(np.arange(10) + 0.5, 4)  # 3.5 and 4.5 both see the knot at 4
    assert (np.flatnonzero(between) + 1).tolist() == [3, 4, 7, 8]
    assert (np.flatnonzero(at_knots(np.arange(10.0), 4, phase=1)) + 1).tolist() == [1, 5]
    assert at_knots(np.arange(5.0), 1).all() and not at_knots(np.arange(9.0), 8).any()


def test_no_knot_inside_is_not_a_number() -> None:
    assert math.isnan(knot_jump(noise(9)[None], 8)) and math.isnan(knot_jump(noise(9)[None], 1))


def test_profile_shows_where_the_jump_is() -> None:
    times = np.stack([np.arange(129.0), np.arange(129.0) + 7])
    squares = np.stack([follow(SecondDifferences(), bent(129, phase=shift), 32) for shift in (0, 9)])
    profile = phase_profile(squares, times, DISTANCE)
    assert profile.argmax() == 0 and profile[0] > 3 * np.delete(profile, 0).max()
    # Means of squares over the places, which are nearly equally often seen, are those of all.
    assert np.mean(profile**2) == pytest.approx(1, rel=0.1)


def test_parts_do_not_matter() -> None:
    clips = np.stack([as_bytes(bent(50, seed=seed)) for seed in range(2)])
    assert len({knot_jump(clips, DISTANCE, chunk=chunk) for chunk in (1, 2, 7, 50)}) == 1


@pytest.mark.parametrize(
    "distance, times", [(0, None), (-1, None), (math.nan, None), (8, [0, 1, 3, 4]), (8, [3, 2, 1, 0])]
)
def test_bad_input_is_refused(distance: float, times: list[float] | None) -> None:
    with pytest.raises(InputError):
        knot_jump(noise(4)[None], distance, None if times is None else np.array(times, dtype=np.float64))
