from __future__ import annotations

import math

import pytest
import torch

from fields.rate.laplace import laplace_bits
from fields.rate.model import uniform_noise


@pytest.mark.parametrize("log2_scale", [-2.0, 0.0, 3.0])
def test_probabilities_of_all_whole_numbers_sum_to_one(log2_scale: float) -> None:
    numbers = torch.arange(-400, 401, dtype=torch.float64)
    bits = laplace_bits(numbers, torch.tensor(log2_scale, dtype=torch.float64))
    assert torch.exp2(-bits).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("value", [-7.3, -0.5, -0.2, 0.0, 0.3, 0.5, 2.0])
def test_bits_are_those_of_the_unit_interval(value: float) -> None:
    width = 1.7

    def below(x: float) -> float:
        return 0.5 * math.exp(x / width) if x < 0 else 1 - 0.5 * math.exp(-x / width)

    found = laplace_bits(torch.tensor(value, dtype=torch.float64), torch.tensor(math.log2(width), dtype=torch.float64))
    assert float(found) == pytest.approx(-math.log2(below(value + 0.5) - below(value - 0.5)), rel=1e-9)


def test_large_values_and_narrow_distributions_have_finite_bits_and_derivatives() -> None:
    values = torch.tensor([0.0, 0.49, 0.5, 3.0, 8191.0], requires_grad=True)
    scales = torch.tensor([[-6.0], [0.0], [9.0]], requires_grad=True)
    bits = laplace_bits(values.expand(3, 5), scales)
    bits.sum().backward()
    assert bits.isfinite().all() and (bits >= 0).all()
    assert values.grad.isfinite().all() and scales.grad.isfinite().all()


def test_derivatives_are_those_of_differences() -> None:
    values = torch.tensor([-3.1, -0.3, 0.2, 0.9, 5.0], dtype=torch.float64, requires_grad=True)
    scales = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(laplace_bits, (values, scales))


def test_noise_is_even_between_minus_and_plus_a_half_and_a_function_of_its_key() -> None:
    noise = uniform_noise((3, 7, 1), 20_000, torch.device("cpu"))
    assert noise.min() >= -0.5 and noise.max() < 0.5
    assert float(noise.mean()) == pytest.approx(0, abs=0.01)
    assert float(noise.var()) == pytest.approx(1 / 12, rel=0.02)
    assert torch.equal(noise, uniform_noise((3, 7, 1), 20_000, torch.device("cpu")))
    assert not torch.equal(noise, uniform_noise((3, 8, 1), 20_000, torch.device("cpu")))
