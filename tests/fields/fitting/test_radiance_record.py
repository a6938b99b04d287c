from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from fields.fitting.radiance_record import _mean_and_spread, beside, psnr_where, shaded


def test_depth_is_white_near_and_black_far_or_where_nothing_is() -> None:
    depth, opacity = torch.tensor([[2.0, 4.0, 6.0, 2.0]]), torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    found = shaded(depth, opacity, 2.0, 6.0)
    assert found.shape == (3, 1, 4)
    assert_close(found[1], torch.tensor([[1.0, 0.5, 0.0, 0.0]]))


def test_psnr_of_chosen_pixels() -> None:
    target, result = torch.zeros(2, 2, 3), torch.full((2, 2, 3), 0.5)
    result[0] = 0.1
    hit = torch.tensor([[True, True], [False, False]])
    assert psnr_where(result, target, hit) == pytest.approx(20, abs=1e-5)
    assert psnr_where(result, target, ~hit) == pytest.approx(-20 * math.log10(0.5))
    assert math.isnan(psnr_where(result, target, torch.zeros_like(hit)))


def test_four_pictures_stand_beside_one_another() -> None:
    black, white = torch.zeros(3, 128, 130), torch.ones(3, 128, 130)
    found = beside(black, white, white)
    assert found.shape == (128, 4 * 130 + 3 * 4, 3)
    columns = [found[0, 134 * number + 5, 0] for number in range(4)]
    assert columns == [0, 255, 255, 255]


def test_figures_that_are_not_finite_are_left_out() -> None:
    found = _mean_and_spread(np.array([1.0, 3.0, np.nan, np.inf]))
    assert found == {"mean": 2.0, "std": pytest.approx(math.sqrt(2))}
    assert _mean_and_spread(np.array([np.nan])) == {"mean": "nan", "std": None}
