from __future__ import annotations

import math

import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio

from fields.reconstruction.frames import from_symmetric
from fields.reconstruction.psnr import average_psnr, mean_squared_error, psnr, psnr_of_mean_mse


def test_one_level_of_error_everywhere_is_48_decibels() -> None:
    reference = torch.full((2, 3, 5, 7), 0.5, dtype=torch.float64)
    found = psnr(reference + torch.tensor([1 / 255, -0.1])[:, None, None, None], reference)
    torch.testing.assert_close(found, torch.tensor([20 * math.log10(255), 20], dtype=torch.float64), rtol=1e-6, atol=0)


def test_every_frame_is_that_of_torchmetrics() -> None:
    reference, noise = torch.rand(4, 3, 9, 11), torch.randn(4, 3, 9, 11)
    result = (reference + noise * torch.tensor([0.01, 0.1, 0.3, 1])[:, None, None, None]).clamp(0, 1)
    theirs = peak_signal_noise_ratio(result, reference, data_range=1.0, dim=(1, 2, 3), reduction="none")
    torch.testing.assert_close(psnr(result, reference), theirs.double(), rtol=1e-6, atol=0)


def test_the_range_of_fields_gives_the_logged_formula() -> None:
    reference, result = torch.rand(3, 3, 6, 6, dtype=torch.float64) * 2 - 1, torch.rand(3, 3, 6, 6).double() * 2 - 1
    logged = 10 * torch.log10(4 / (result - reference).square().mean(dim=(1, 2, 3)))
    torch.testing.assert_close(psnr(from_symmetric(result), from_symmetric(reference)), logged)


def test_exact_frames_are_infinite_counted_and_left_out_of_the_mean() -> None:
    reference = torch.full((3, 3, 4, 4), 0.5, dtype=torch.float64)
    values = psnr(reference + torch.tensor([0, 0.1, 0.01])[:, None, None, None].double(), reference)
    mean, num_exact = average_psnr(values)
    assert values[0] == math.inf and num_exact == 1
    assert mean == pytest.approx(30)
    assert average_psnr(values[:1]) == (math.inf, 1)


def test_psnr_of_the_mean_error_is_another_figure() -> None:
    values = torch.tensor([10.0, 30.0], dtype=torch.float64)
    assert average_psnr(values)[0] == 20
    assert psnr_of_mean_mse(values) == pytest.approx(-10 * math.log10((0.1 + 0.001) / 2))
    assert psnr_of_mean_mse(torch.full((3,), math.inf, dtype=torch.float64)) == math.inf


def test_psnr_of_the_mean_error_is_that_of_all_pixels_at_once() -> None:
    reference, result = torch.rand(5, 3, 6, 6, dtype=torch.float64), torch.rand(5, 3, 6, 6, dtype=torch.float64)
    pooled = -10 * math.log10(float((result - reference).square().mean()))
    assert psnr_of_mean_mse(psnr(result, reference)) == pytest.approx(pooled, rel=1e-12)


def test_small_errors_of_large_frames_are_summed_exactly() -> None:
    reference = torch.zeros(1, 3, 512, 512)
    error = mean_squared_error(reference + 1e-4, reference)
    assert float(error[0]) == pytest.approx(float(torch.tensor(1e-4).double()) ** 2, rel=1e-12)
