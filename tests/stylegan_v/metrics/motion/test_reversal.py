from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from datasets.synthetic import SpriteVideo
from stylegan_v.metrics.motion.flow import Flow, flow
from stylegan_v.metrics.motion.reversal import has_direction, is_reversed, num_turns, path, reversal_rate, speed
from tests.stylegan_v.metrics.motion.patterns import as_bytes, drifting, noise, still


def moving(speeds: np.ndarray, angle: float = 0.7, explained: float = 0.9) -> Flow:
    """Displacements of such lengths along one direction."""
    return Flow(speeds[:, None] * np.array([np.sin(angle), np.cos(angle)]), np.full(len(speeds), explained))


def test_translation_does_not_reverse_and_forth_and_back_does() -> None:
    there = np.stack([as_bytes(drifting(0.3 * np.arange(24), 0.8 * np.arange(24), seed=seed)) for seed in range(3)])
    assert reversal_rate(there) == 0
    back = np.concatenate([there, there[:, ::-1]], axis=1)
    assert reversal_rate(back) == 1
    assert reversal_rate(np.concatenate([back[:, :24], there, back[:, 24:]])) == 0  # both halves alone go one way


def test_videos_of_a_data_set() -> None:
    straight = [SpriteVideo(seed, 32, (32, 32), turning=0.0, max_sprites=1).read(range(32)) for seed in range(4)]
    clips = torch.stack(straight)
    assert reversal_rate(clips) == 0
    assert reversal_rate(torch.cat([clips, clips.flip(1)], dim=1)) == 1
    circles = [SpriteVideo(seed, 64, (32, 32), turning=1.0, max_sprites=1).read(range(64)) for seed in range(4)]
    assert reversal_rate(torch.stack(circles)) == 1


def test_noise_and_still_pictures_do_not_reverse() -> None:
    assert reversal_rate(np.stack([noise(48, seed=seed) for seed in range(4)])) == 0
    (found,) = flow(still(8)[None])
    assert not has_direction(found) and not is_reversed(found) and math.isnan(speed(found))


def test_noisy_forth_and_back_reverses() -> None:
    rng = np.random.default_rng(0)
    way = np.abs((np.arange(40) + 20) % 40 - 20)
    clip = drifting(0.0 * way, 0.8 * way, (64, 64)) + 0.1 * rng.normal(size=(40, 3, 64, 64))
    assert reversal_rate(as_bytes(clip)[None]) == 1


def test_path_is_along_the_main_direction() -> None:
    found = moving(np.full(10, 0.02))
    np.testing.assert_allclose(np.abs(path(found)), 0.02 * np.arange(1, 11), rtol=1e-9)
    assert speed(found) == pytest.approx(0.02)


def test_jitter_is_not_a_reversal() -> None:
    jitter = 0.015 * (-1.0) ** np.arange(60)
    assert not is_reversed(moving(jitter))
    assert not is_reversed(moving(0.01 + jitter))
    # Less than a fiftieth of the frame, and less than a quarter of the way.
    assert not is_reversed(moving(np.array([0.003] * 6 + [-0.003] * 6)))
    assert not is_reversed(moving(np.array([0.02] * 30 + [-0.02] * 7)))
    assert is_reversed(moving(np.array([0.02] * 30 + [-0.02] * 12)))


def test_displacements_that_explain_little_do_not_count() -> None:
    spring = np.array([0.02] * 20 + [-0.02] * 20)
    assert is_reversed(moving(spring)) and not is_reversed(moving(spring, explained=0.3))
    rest = Flow(np.concatenate([moving(spring).shift, np.zeros((100, 2))]), np.array([0.9] * 40 + [0.0] * 100))
    assert is_reversed(rest)  # where nothing moves there was nothing to explain


def test_turns_are_counted_with_hysteresis() -> None:
    assert num_turns(np.arange(10.0), 1) == 0 and num_turns(-np.arange(10.0), 1) == 0
    assert num_turns(np.array([1, 2, 3, 2, 1, 2, 3, 4.0]), 1.5) == 2
    assert num_turns(np.array([1, 2, 3, 2, 1, 2, 3, 4.0]), 2.5) == 0
    assert num_turns(np.array([-3, 0, -3, 0.0]), 2) == 3
    assert num_turns(np.zeros(0), 1) == 0
