from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.ffnerv.scores import MIN_SIZE, inner_ms_ssim


def pictures() -> torch.Tensor:
    y, x = torch.meshgrid(torch.linspace(0, 9, 180), torch.linspace(0, 7, 176), indexing="ij")
    return torch.stack([(x + k).sin() * (y - k).cos() for k in range(6)]).reshape(2, 3, 180, 176) / 2 + 0.5


def test_a_frame_is_like_itself() -> None:
    torch.testing.assert_close(inner_ms_ssim(pictures(), pictures()), torch.ones(2))


def test_it_falls_with_noise() -> None:
    target, noise = pictures(), torch.randn(2, 3, 180, 176)
    scores = [inner_ms_ssim((target + level * noise).clamp(0, 1), target) for level in (0.02, 0.1)]
    assert (scores[0] > scores[1] + 0.005).all()


def test_brightness_counts_on_the_coarsest_scale_alone() -> None:
    target = pictures() / 2
    change = 0.25  # of brightness; means of a whole period are a quarter, structure stays
    found = inner_ms_ssim(target + change, target)
    least = 2 * 0.5 * 0.75 / (0.5**2 + 0.75**2)  # of one scale in full
    assert (found > least).all() and (found < 1).all()


def test_frames_are_scored_one_by_one() -> None:
    target = pictures()
    result = target.clone()
    result[1] = 0.5
    found = inner_ms_ssim(result, target)
    assert float(found[0]) == pytest.approx(1) and found[1] < 0.2


def test_small_frames_are_refused() -> None:
    with pytest.raises(InputError, match="161 pixels"):
        inner_ms_ssim(torch.rand(1, 3, MIN_SIZE - 1, 200), torch.rand(1, 3, MIN_SIZE - 1, 200))
    assert inner_ms_ssim(torch.rand(1, 3, MIN_SIZE, 162), torch.rand(1, 3, MIN_SIZE, 162)).shape == (1,)
