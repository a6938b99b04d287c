from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from datasets.synthetic import SpriteVideo
from errors import InputError
from stylegan_v.metrics.motion.recurrence import GAP, find_period, recurrence
from tests.stylegan_v.metrics.motion.patterns import as_bytes, drifting, noise, still


def circling(num_frames: int, period: float) -> np.ndarray:
    """A pattern that goes round, uint8 [F, 3, H, W]."""
    angle = 2 * np.pi * np.arange(num_frames) / period
    return as_bytes(drifting(6 * np.sin(angle), 6 * np.cos(angle)))


@pytest.mark.parametrize("period", [24, 40.5, 65, 90])
def test_loop_is_found_with_its_period(period: float) -> None:
    (found,) = recurrence(circling(220, period)[None])
    assert found.period == pytest.approx(period, abs=0.1)
    # From the first repetition beyond the gap on, something as near as the frames between two steps lies back.
    assert found.relative[math.ceil(period * math.ceil(65 / period)) :].max() < 0.05
    assert found.median < 0.05


def test_video_that_goes_on_neither_loops_nor_recurs() -> None:
    # A sprite and a background on a torus return, but never both at once.
    videos = [SpriteVideo(seed, 200, (32, 32), turning=0.0, max_sprites=1).read(range(200)) for seed in range(3)]
    for found in recurrence(torch.stack(videos)):
        assert math.isnan(found.period) and found.median > 0.2
    fading = np.broadcast_to(np.linspace(-1, 1, 200)[:, None, None, None], (200, 3, 16, 16))
    (found,) = recurrence(fading[None])
    assert math.isnan(found.period)
    # The nearest frame is the one just outside of the gap.
    np.testing.assert_allclose(found.nearest[GAP + 1 :], (GAP + 1) / 199, atol=1e-3)
    assert found.median == pytest.approx(1, abs=0.01)


def test_circling_sprite_of_a_data_set_loops() -> None:
    plain = {"turning": 1.0, "max_sprites": 1, "scroll": 0.0, "light": 0.0, "texture": 0.0, "num_shapes": 1}
    video = SpriteVideo(0, 200, (32, 32), **plain)
    period = 2 * np.pi / abs(video.sprites[0].turn)
    (found,) = recurrence(video.read(range(200))[None])
    assert found.period == pytest.approx(period, abs=0.3) and found.median < 0.1


def test_forth_and_back_is_a_loop_of_both_ways() -> None:
    way = np.abs((np.arange(150) + 25) % 50 - 25) / 2.0
    (found,) = recurrence(as_bytes(drifting(way, 0 * way))[None])
    assert found.period == pytest.approx(50, abs=0.1) and found.median < 0.05


def test_still_video_repeats_itself_without_a_loop() -> None:
    (found,) = recurrence(still(100)[None])
    assert found.median == 0 and math.isnan(found.period)


def test_noise_never_comes_back() -> None:
    (found,) = recurrence(noise(150)[None])
    assert found.median > 0.9 and math.isnan(found.period)
    assert found.profile[1:] == pytest.approx(found.profile[1], rel=0.1)


def test_short_clip_cannot_tell() -> None:
    (found,) = recurrence(noise(GAP + 1)[None])
    assert math.isnan(found.median) and np.isnan(found.nearest).all()
    (found,) = recurrence(noise(GAP + 2)[None])
    assert np.isnan(found.nearest).sum() == GAP + 1 and 0.8 < found.median < 1.2


def test_nearest_and_profile_are_those_of_all_pairs() -> None:
    clip = noise(30, (16, 16))
    frames = (clip / 255).astype(np.float16).astype(np.float64).reshape(30, -1)
    pairs = np.sqrt(((frames[:, None] - frames[None]) ** 2).mean(axis=2))
    (found,) = recurrence(clip[None], gap=10)
    expected = [pairs[t, : t - 10].min() for t in range(11, 30)]
    np.testing.assert_allclose(found.nearest[11:], expected, atol=1e-6)
    np.testing.assert_allclose(found.profile, [np.diag(pairs, lag).mean() for lag in range(30)], atol=1e-6)


def test_minimum_counts_only_after_the_video_has_left() -> None:
    flat = np.full(60, 0.3)
    assert math.isnan(find_period(flat))
    dip = flat.copy()
    dip[0], dip[30] = 0, 0.05
    assert find_period(dip) == 30
    shallow = flat.copy()
    shallow[30] = 0.1
    assert math.isnan(find_period(shallow))
    late = flat.copy()
    late[45] = 0.0  # seen less than one and a half times
    assert math.isnan(find_period(late))


def test_parts_do_not_matter() -> None:
    clips = circling(100, 30)[None]
    first, *others = (recurrence(clips, chunk=chunk)[0] for chunk in (1, 13, 100))
    for other in others:
        assert np.array_equal(first.nearest, other.nearest, equal_nan=True)
        assert np.array_equal(first.profile, other.profile)


def test_negative_gap_is_refused() -> None:
    with pytest.raises(InputError, match="gap"):
        recurrence(noise(4)[None], gap=-1)
