from __future__ import annotations

import math

import pytest

from fields.radiance.rates import delayed_log_decay


def test_rates_decay_by_the_same_factor_in_the_same_time() -> None:
    rates = [delayed_log_decay(step, 1e-2, 1e-4, 100, 0) for step in (0, 25, 50, 75, 100)]
    assert rates == pytest.approx([1e-2, 10**-2.5, 1e-3, 10**-3.5, 1e-4])


def test_the_rate_stays_after_the_last_step() -> None:
    assert delayed_log_decay(500, 1e-2, 1e-4, 100, 0) == pytest.approx(1e-4)


def test_the_start_is_slow() -> None:
    def share(step: int) -> float:
        return delayed_log_decay(step, 1.0, 1.0, 100, 20, 0.1)

    assert [share(0), share(20), share(60)] == pytest.approx([0.1, 1.0, 1.0])
    assert share(10) == pytest.approx(0.1 + 0.9 * math.sin(math.pi / 4))
