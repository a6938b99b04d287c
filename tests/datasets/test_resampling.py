from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from datasets.resampling import cubic, places, weights, window_of


def test_the_kernel_interpolates() -> None:
    assert cubic(np.array([0.0, 1, -1, 2, 3])).tolist() == [1, 0, 0, 0, 0]
    assert cubic(np.array([0.5])).tolist() == [0.5625]  # Keys 1981, a = -1/2


def test_rows_sum_to_one_and_a_reduction_by_two_reads_eight_elements() -> None:
    first, found = weights(places(32, 16, 4, 9), 2.0, 32)
    assert first == 5 and found.shape == (5, 8 + 8)
    assert torch.allclose(found.sum(dim=1), torch.ones(5))
    assert (found != 0).sum(dim=1).tolist() == [8] * 5


def test_the_whole_at_its_own_size_is_itself() -> None:
    images = torch.rand(2, 3, 7, 9)
    assert torch.allclose(window_of(images, (7, 9), (0, 0, 7, 9)), images, atol=1e-6)


def test_a_window_is_the_crop_of_the_whole() -> None:
    images = torch.rand(1, 3, 40, 30)
    whole = window_of(images, (17, 19), (0, 0, 17, 19), (0.3, -0.2))
    assert torch.allclose(window_of(images, (17, 19), (3, 5, 12, 19), (0.3, -0.2)), whole[:, :, 3:12, 5:], atol=1e-6)


def test_reductions_are_those_of_torch_but_for_the_border() -> None:
    images = torch.rand(1, 3, 48, 60)
    found = window_of(images, (20, 25), (0, 0, 20, 25))
    wanted = F.interpolate(images, (20, 25), mode="bicubic", antialias=True)
    assert torch.allclose(found[..., 2:-2, 2:-2], wanted[..., 2:-2, 2:-2], atol=1e-5)


def test_a_shift_moves_a_ramp_by_itself() -> None:
    ramp = torch.arange(24.0).expand(1, 1, 10, 24)
    found = window_of(ramp, (10, 12), (0, 0, 10, 12), (0.25, 0.4))
    wanted = (torch.arange(12) + 0.5 + 0.4) * 2 - 0.5
    assert torch.allclose(found[0, 0, 5, 2:-2], wanted[2:-2], atol=1e-5)


def test_beyond_the_border_it_goes_on_as_the_border_is() -> None:
    images = torch.ones(1, 1, 8, 8) * 3
    assert torch.allclose(window_of(images, (5, 5), (0, 0, 5, 5), (-1, 1)), torch.full((1, 1, 5, 5), 3.0))


def test_waves_beyond_the_new_size_are_gone() -> None:
    wave = torch.cos(torch.arange(64) * torch.pi * 0.9).expand(1, 1, 64, 64)
    assert window_of(wave, (16, 16), (0, 0, 16, 16))[..., 4:12].abs().max() < 0.02
