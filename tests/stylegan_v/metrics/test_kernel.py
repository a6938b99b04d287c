from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from errors import InputError
from stylegan_v.metrics import kernel as module
from stylegan_v.metrics.kernel import bootstrap, kernel_distance, subset_kernel_distance


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


@pytest.mark.parametrize("num, other", [(5, 12), (12, 5), (8, 8), (11, 11)])
@pytest.mark.parametrize("degree", [1, 3])
def test_large_sets_are_compared_in_blocks_with_the_same_result(
    num: int, other: int, degree: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = torch.randn(num, 3), torch.randn(other, 3) + 1
    whole = kernel_distance(x, y, degree=degree)
    monkeypatch.setattr(module, "_BLOCK", 4)
    largest = []
    kernel = module._kernel
    monkeypatch.setattr(module, "_kernel", lambda a, b, d: largest.append((len(a), len(b))) or kernel(a, b, d))
    assert kernel_distance(x, y, degree=degree).item() == pytest.approx(whole.item(), rel=1e-12)
    assert max(max(size) for size in largest) == 4


def test_subsets_of_all_items_are_the_sets() -> None:
    x, y = torch.randn(12, 3), torch.randn(12, 3) + 1
    distance = subset_kernel_distance(x, y, num_subsets=3, rng=np.random.default_rng(0))
    assert distance == pytest.approx(kernel_distance(x, y).item(), rel=1e-12)


@pytest.mark.parametrize("num, other, size, drawn", [(30, 20, 7, 7), (30, 20, 1000, 20)])
def test_subsets_are_drawn_without_replacement_and_scored_as_by_torchmetrics(
    num: int, other: int, size: int, drawn: int
) -> None:
    from torchmetrics.image.kid import poly_mmd

    x, y = torch.randn(num, 5).double(), torch.randn(other, 5).double() + 0.5
    distance = subset_kernel_distance(x, y, num_subsets=4, subset_size=size, rng=np.random.default_rng(3))
    rng, expected = np.random.default_rng(3), []
    for _ in range(4):
        some_x = x[rng.choice(num, drawn, replace=False)]
        expected.append(poly_mmd(some_x, y[rng.choice(other, drawn, replace=False)]).item())
    assert distance == pytest.approx(np.mean(expected), rel=1e-10)


def test_subsets_estimate_the_distance_of_the_sets() -> None:
    x, y = torch.randn(40, 4), torch.randn(50, 4) + 0.5
    rng = np.random.default_rng(0)
    values = np.array([subset_kernel_distance(x, y, num_subsets=1, subset_size=20, rng=rng) for _ in range(400)])
    assert abs(values.mean() - kernel_distance(x, y).item()) < 3 * values.std() / 20


def spreads(shift: float, num: int, other: int, draws: int = 150) -> tuple[float, float]:
    """Standard deviation of the distance over independent samples, and the one that single samples tell."""
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    values, told = [], []
    for _ in range(draws):
        x = torch.randn(num, 6, generator=generator).double()
        y = torch.randn(other, 6, generator=generator).double() + shift
        values.append(kernel_distance(x, y).item())
        told.append(bootstrap(x, y, 60, rng).var(ddof=1))
    return float(np.std(values)), float(np.mean(told)) ** 0.5


@pytest.mark.parametrize("num, other", [(40, 40), (31, 60)])
@pytest.mark.parametrize("shift", [0.0, 0.2, 1.0])
def test_bootstrap_spreads_as_independent_samples_do(shift: float, num: int, other: int) -> None:
    """Within a third; of equal distributions too, where a bootstrap with replacement would be off by sqrt(3)."""
    independent, told = spreads(shift, num, other)
    assert 0.75 < told / independent < 1.33


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_bootstrap_has_the_unbiased_estimate_as_its_mean(shift: float) -> None:
    rng = np.random.default_rng(0)
    for num, other in ((30, 30), (17, 40)):
        x, y = torch.randn(num, 6), torch.randn(other, 6) + shift
        values = bootstrap(x, y, 2000, rng)
        assert values.shape == (2000,) and values.dtype == np.float64
        assert abs(values.mean() - kernel_distance(x, y).item()) < 4 * values.std() / 2000**0.5


def test_bootstrap_is_the_formula_on_halves() -> None:
    x, y = torch.randn(9, 4).double(), torch.randn(7, 4).double() + 2
    rng = np.random.default_rng(5)
    marks = [
        rng.permuted(np.tile(np.arange(num) < num // 2, (50, 1)), axis=1) for num in (9, 7)
    ]  # which items are in the first half
    distance = kernel_distance(x, y).item()
    pairs = [
        [kernel_distance(x[a == half], y[b == half]).item() - distance for half in (True, False)]
        for a, b in zip(*marks, strict=True)
    ]
    of_half, of_rest = np.array(pairs).T
    linear, quadratic = (of_half - of_rest) / 2, (of_half + of_rest) / 2
    share = max(0.0, 1 - 2 * (quadratic**2).mean() / (linear**2).mean())
    values = bootstrap(x, y, 50, np.random.default_rng(5))
    assert share > 0.5
    np.testing.assert_allclose(values, distance + share**0.5 * linear + quadratic, rtol=1e-9)


def test_sets_without_any_spread_have_none() -> None:
    x, y = torch.ones(6, 3), torch.zeros(6, 3)
    assert bootstrap(x, y, 5, np.random.default_rng(0)).tolist() == [7.0] * 5  # (1 + 1)^3 + 1 - 2


@pytest.mark.parametrize(
    "num, other, says",
    [
        (3, 9, "kernel distance of 3 and 9 items cannot be told: give at least 4 of each"),
        (9, 1, "kernel distance of 9 and 1 items"),
    ],
)
def test_too_few_items_are_refused(num: int, other: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        bootstrap(torch.randn(num, 3), torch.randn(other, 3), 5, np.random.default_rng(0))


def test_a_single_item_has_no_unbiased_distance() -> None:
    with pytest.raises(InputError, match="1 and 9 items cannot be told: give at least 2"):
        kernel_distance(torch.randn(1, 3), torch.randn(9, 3))


def test_what_tells_nothing_is_refused() -> None:
    x, rng = torch.randn(9, 3), np.random.default_rng(0)
    bad = x.clone()
    bad[4:6, 1] = math.nan
    for function in (lambda a, b: bootstrap(a, b, 5, rng), lambda a, b: subset_kernel_distance(a, b, rng=rng)):
        with pytest.raises(InputError, match="2 of 9 rows hold NaN"):
            function(x, bad)
    with pytest.raises(InputError, match="num_resamples: 1"):
        bootstrap(x, x, 1, rng)
    with pytest.raises(InputError, match="100 of 1 items"):
        subset_kernel_distance(x, x, subset_size=1, rng=rng)
    with pytest.raises(InputError, match="1 and 9 items"):
        subset_kernel_distance(x[:1], x, rng=rng)
