from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from errors import InputError
from fields.nerv_training import inner_ssim, nerv_loss, quantise_weights, rate_factor
from fields.reconstruction.ssim import ssim


def test_ssim_of_a_picture_with_itself_and_of_two_constants() -> None:
    picture = torch.rand(2, 3, 16, 20)
    torch.testing.assert_close(inner_ssim(picture, picture), torch.tensor(1.0))
    dark, light = torch.full((1, 3, 12, 12), 0.2), torch.full((1, 3, 12, 12), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert float(inner_ssim(dark, light)) == pytest.approx(expected, rel=1e-3)


def test_on_mirrored_borders_it_is_the_score_of_reconstructions() -> None:
    left, right = torch.rand(2, 1, 3, 21, 18)
    mirrored = [F.pad(picture, (5,) * 4, mode="reflect") for picture in (left, right)]
    torch.testing.assert_close(inner_ssim(*mirrored).double(), ssim(left, right)[0], rtol=0, atol=1e-5)


def test_a_picture_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(InputError, match="10x20"):
        inner_ssim(torch.rand(1, 3, 10, 20), torch.rand(1, 3, 10, 20))


def test_the_loss_mixes_its_two_parts() -> None:
    result, target = torch.rand(2, 1, 3, 12, 12)
    l1, similarity = (result - target).abs().mean(), inner_ssim(result, target)
    torch.testing.assert_close(nerv_loss(result, target), 0.7 * l1 + 0.3 * (1 - similarity))
    torch.testing.assert_close(nerv_loss(result, target, 1.0), l1)


def test_the_rate_rises_along_a_line_and_falls_along_a_cosine() -> None:
    factors = [rate_factor(epoch, 10, 2) for epoch in (0, 1, 2, 6, 10)]
    assert factors == pytest.approx([0.1, 0.55, 1.0, 0.5, 0.0])


def test_weights_are_within_half_a_step_and_zeros_do_not_widen_the_range() -> None:
    weights = torch.rand(4, 5) + 1
    weights[0, 0] = 0
    number, restored = quantise_weights(weights, 4)
    kept = weights != 0
    step = (weights[kept].max() - weights[kept].min()) / 16
    assert (restored - weights)[kept].abs().max() <= 0.51 * step
    assert number[kept].min() == 0 and number[kept].max() == 16


def test_slices_have_their_own_range_and_equal_weights_are_kept() -> None:
    weights = torch.stack((torch.linspace(0, 1, 5), torch.linspace(0, 100, 5), torch.full((5,), 3.0), torch.zeros(5)))
    _, restored = quantise_weights(weights, 2, axis=0)
    torch.testing.assert_close(restored[2:], weights[2:])
    one_by_one = torch.stack([quantise_weights(row, 2)[1] for row in weights])
    assert torch.equal(restored, one_by_one)
