from __future__ import annotations

import math

import pytest
import torch

from errors import InputError
from fields.quantisers import MinMax, TanhFloor, floor_to_steps


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_equal_steps_up_to_the_largest(bits: int) -> None:
    x, steps = torch.randn(50), 2 ** (bits - 1) - 1
    found = MinMax(bits)(x) / x.abs().max() * steps
    torch.testing.assert_close(found, found.round(), rtol=0, atol=1e-4)
    assert found.abs().max().round() == steps
    assert (MinMax(bits)(x) - x).abs().max() <= x.abs().max() / steps / 2 * 1.0001


def test_all_zero_stays_zero_with_a_gradient() -> None:
    x = torch.zeros(4, requires_grad=True)
    (MinMax(8)(x).sum()).backward()
    assert torch.equal(MinMax(8)(x), torch.zeros(4)) and torch.equal(x.grad, torch.ones(4))


def test_a_factor_of_one_becomes_23_of_31_steps_at_6_bits() -> None:
    assert TanhFloor(6)(torch.ones(1)).item() == pytest.approx(23 / 31)
    assert TanhFloor(8)(torch.ones(1)).item() == pytest.approx(96 / 127)


def test_small_values_collapse_to_zero_from_both_sides() -> None:
    small = math.atanh(0.99 / 31)
    assert torch.equal(TanhFloor(6)(torch.tensor([small, -small])).abs(), torch.zeros(2))


def test_straight_through() -> None:
    x = torch.randn(20, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(20, dtype=torch.float64)
    by_minmax, by_steps = (
        torch.autograd.grad((f(x) * weights).sum(), x)[0] for f in (MinMax(4), lambda x: floor_to_steps(x, 4))
    )
    assert torch.equal(by_minmax, weights) and torch.equal(by_steps, weights)
    (by_tanh,) = torch.autograd.grad((TanhFloor(4)(x) * weights).sum(), x)
    torch.testing.assert_close(by_tanh, weights * (1 - x.tanh() ** 2))


@pytest.mark.parametrize("quantiser", [MinMax, TanhFloor])
@pytest.mark.parametrize("bits", [1, 32])
def test_bits_that_cannot_be(quantiser: type, bits: int) -> None:
    with pytest.raises(InputError, match=f"{bits} bits"):
        quantiser(bits)
