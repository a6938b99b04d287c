from __future__ import annotations

import pytest
import torch

from stylegan_v.metrics.kernel import kernel_distance


def test_equals_the_naive_sum_over_pairs() -> None:
    x, y = torch.randn(4, 3).double(), torch.randn(5, 3).double()

    def kernel(a: torch.Tensor, b: torch.Tensor) -> float:
        return (float(a @ b) / 3 + 1) ** 3

    within_x = sum(kernel(x[i], x[j]) for i in range(4) for j in range(4) if i != j) / 12
    within_y = sum(kernel(y[i], y[j]) for i in range(5) for j in range(5) if i != j) / 20
    across = sum(kernel(a, b) for a in x for b in y) / 20
    assert kernel_distance(x, y).item() == pytest.approx(within_x + within_y - 2 * across)


def test_linear_kernel_between_two_points_is_their_squared_distance() -> None:
    x, y = torch.tensor([[1.0, 2.0]]).expand(3, 2), torch.tensor([[4.0, -2.0]]).expand(3, 2)
    assert kernel_distance(x, y, degree=1).item() == pytest.approx((9 + 16) / 2)


def test_unbiased_zero_on_average_over_samples_of_one_distribution() -> None:
    generator = torch.Generator().manual_seed(0)
    draws = [
        kernel_distance(torch.randn(20, 4, generator=generator), torch.randn(20, 4, generator=generator))
        for _ in range(400)
    ]
    values = torch.stack(draws)
    standard_error = values.std() / 20
    assert abs(values.mean()) < 3 * standard_error
    assert values.min() < 0


def test_far_sets_are_far() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(50, 4, generator=generator) for _ in range(2))
    assert kernel_distance(x, y + 1) > 20 * kernel_distance(x, y).abs()
