from __future__ import annotations

import pytest
import torch

from fields.rate.steps import HIGHEST, LIMIT, LOWEST, nearest_step, step_of, symbols_of, values_of


def test_steps_are_eighths_of_octaves_and_whole_octaves_exact() -> None:
    numbers = torch.arange(LOWEST, HIGHEST + 1)
    assert step_of(numbers).double().tolist() == pytest.approx(torch.exp2(numbers.double() / 8).tolist(), rel=1e-7)
    assert step_of(torch.tensor([-16, 0, 24])).tolist() == [0.25, 1.0, 8.0]
    assert torch.equal(nearest_step(numbers / 8 + 0.04), numbers)


def test_steps_out_of_range_are_the_last_ones() -> None:
    assert nearest_step(torch.tensor([-99.0, 99.0])).tolist() == [LOWEST, HIGHEST]


def test_values_of_symbols_have_these_symbols_again() -> None:
    step = step_of(torch.arange(LOWEST, HIGHEST + 1))[:, None]
    symbols = torch.tensor([-LIMIT, -1234, -1, 0, 1, 77, LIMIT]).expand(len(step), -1)
    values = values_of(symbols, step)
    assert torch.equal(symbols_of(values, step), symbols)


def test_symbols_are_the_nearest_and_bounded() -> None:
    step = torch.tensor([0.5])
    assert symbols_of(torch.tensor([0.3, -0.2, 0.76, 1e9]), step).tolist() == [1, 0, 2, LIMIT]
