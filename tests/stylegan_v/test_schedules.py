"""Schedules against the published tables and closed forms."""

from __future__ import annotations

import pytest
import torch

from stylegan_v import schedules


@pytest.mark.parametrize(
    ("interval", "lr", "beta"), [(4, 0.0020, 0.99**0.8), (16, 0.0025 * 16 / 17, 0.99 ** (16 / 17))]
)
def test_lazy_correction_of_adam(interval: int, lr: float, beta: float) -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=0.0025, betas=(0.0, 0.99))

    schedules.correct_for_lazy_regularization(optimizer, interval)

    group = optimizer.param_groups[0]
    assert group["lr"] == pytest.approx(lr)
    assert group["betas"] == pytest.approx((0.0, beta))


def test_lazy_correction_leaves_optimisers_without_betas_their_momentum() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    schedules.correct_for_lazy_regularization(optimizer, 1)
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert optimizer.param_groups[0]["momentum"] == 0.9


@pytest.mark.parametrize(("side", "batch", "gamma"), [(128, 64, 0.0512), (256, 64, 0.2048), (1024, 16, 13.1072)])
def test_r1_gamma_heuristic(side: int, batch: int, gamma: float) -> None:
    assert schedules.default_r1_gamma((side, side), batch) == pytest.approx(gamma)


def test_r1_gamma_of_wide_frames_counts_pixels() -> None:
    assert schedules.default_r1_gamma((144, 256), 32) == pytest.approx(0.0002 * 144 * 256 / 32)


def test_ema_at_the_defaults() -> None:
    assert schedules.default_ema_kclips(64) == 20.0
    assert schedules.ema_beta(64) == schedules.ema_beta(64, 20.0) == pytest.approx(0.997784, abs=1e-6)


def test_half_of_the_average_is_left_after_the_half_life() -> None:
    updates = 2000 // 4
    assert schedules.ema_beta(4, 2.0) ** updates == pytest.approx(0.5)


def test_ema_ramps_up_with_the_clips_seen() -> None:
    assert schedules.ema_beta(8, 20.0, rampup=0.05, num_clips=0) == 0.0
    assert schedules.ema_beta(8, 20.0, rampup=0.05, num_clips=160) == pytest.approx(0.5)
    late = schedules.ema_beta(8, 20.0, rampup=0.05, num_clips=10**9)
    assert late == schedules.ema_beta(8, 20.0)
