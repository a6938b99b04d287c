from __future__ import annotations

import math

import pytest
import torch

from benchmarks.head.measures import Summary, radial_power, shift_consistency, shifted, spectrum_error


def wave(period: float, shift: float = 0.0, side: int = 64) -> torch.Tensor:
    x = torch.arange(side) + shift
    return torch.sin(2 * math.pi * x / period).expand(1, 3, side, side)


def test_a_wave_has_its_power_at_its_frequency() -> None:
    power = radial_power(wave(8))[0]
    assert power.argmax() == 7, "eight cycles in 64 pixels; the first is 1"
    assert power[:5].max() < 1e-3 * power[7] and power[11:].max() < 1e-3 * power[7]


def test_twice_the_amplitude_is_six_decibels() -> None:
    made = []
    for amplitude in (1.0, 2.0):
        summary = Summary.of([])
        summary.power, summary.num_frames = (
            radial_power(amplitude * torch.rand(4, 3, 64, 64, generator=_seeded()))[0],
            1,
        )
        made.append(summary)
    assert spectrum_error(made[1], made[0]) == pytest.approx(20 * math.log10(2), abs=1e-3)
    assert spectrum_error(made[0], made[0]) == 0


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_shifting_moves_waves_by_fractions() -> None:
    found = shifted(wave(9.0), (0.0, 0.3))
    assert (found - wave(9.0, 0.3))[..., 8:-8].abs().max() < 5e-3
    assert torch.allclose(shifted(wave(9.0), (0.0, 0.0)), wave(9.0), atol=1e-6)


def test_what_moves_as_a_whole_is_consistent_and_what_sticks_is_not() -> None:
    moving = shift_consistency(lambda shift: wave(9.0, shift[1]), (0.1, 0.5))
    sticking = shift_consistency(lambda shift: wave(9.0), (0.1, 0.5))
    assert set(moving) == {"0.1", "0.5"} and min(moving.values()) > 45
    # The wave moves by 2 pi shift / 9 radians, and its slope is 1 / sqrt(2) on the average.
    assert sticking["0.5"] == pytest.approx(-20 * math.log10(math.pi / 9 / 2**1.5), abs=0.5)
