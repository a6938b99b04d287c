from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from errors import InputError
from stylegan_v.metrics import moments as module
from stylegan_v.metrics.moments import Moments


def skewed(num: int = 60, dim: int = 5) -> Tensor:
    """Items with a mean and correlations."""
    return torch.randn(num, dim).double() @ torch.randn(dim, dim).double() + torch.arange(dim)


def test_biased_covariance_is_the_mean_of_products_less_the_product_of_means() -> None:
    x = skewed()
    moments = Moments.of(x)
    mean = x.mean(dim=0)
    torch.testing.assert_close(moments.mean, mean, rtol=1e-14, atol=0)
    raw = x.T @ x / len(x) - mean.outer(mean)
    torch.testing.assert_close(moments.covariance(unbiased=False), raw, rtol=1e-10, atol=1e-12)
    assert torch.equal(moments.covariance(False), moments.covariance(False).T)


@pytest.mark.parametrize("unbiased", [True, False])
def test_covariance_is_that_of_numpy(unbiased: bool) -> None:
    x = skewed()
    expected = np.cov(x.numpy().T, ddof=int(unbiased))
    np.testing.assert_allclose(Moments.of(x).covariance(unbiased).numpy(), expected, rtol=1e-12)


def test_items_may_arrive_in_any_groups_and_order(monkeypatch: pytest.MonkeyPatch) -> None:
    x = skewed(57)
    whole = Moments.of(x)
    monkeypatch.setattr(module, "_ROWS", 10)
    grouped = Moments()
    for group in x[torch.randperm(57)].split([1, 0, 30, 7, 19]):
        grouped.add(group)
    merged = Moments.of(x[40:])
    merged.merge(Moments())
    merged.merge(Moments.of(x[:40]))
    for other in (grouped, merged):
        assert other.num == 57
        torch.testing.assert_close(other.mean, whole.mean, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(other.covariance(True), whole.covariance(True), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("offset", [0, 2**24, -(2**30)])
def test_a_common_offset_leaves_the_covariance_alone(offset: int) -> None:
    """Sums of squares would lose it: from 2^60, a square of 2^30, to the next number of float64 it is 2^8."""
    x = torch.randint(-9, 10, (64, 4)).double()  # whole numbers, so that the sum with the offset is exact
    moments = Moments()
    for group in (x + offset).split(7):
        moments.add(group)
    torch.testing.assert_close(moments.covariance(False), Moments.of(x).covariance(False), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(moments.mean, x.mean(dim=0) + offset, rtol=1e-15, atol=1e-14)


def test_features_of_any_precision_are_summed_in_double() -> None:
    x = skewed().float()
    assert torch.equal(Moments.of(x).covariance(True), Moments.of(x.double()).covariance(True))
    assert Moments.of(x.half()).mean.dtype == torch.float64


def test_one_item_has_a_mean_and_no_spread() -> None:
    moments = Moments.of(torch.tensor([[1.0, 2.0]]))
    assert moments.mean.tolist() == [1, 2]
    assert moments.covariance(unbiased=False).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(InputError, match=r"unbiased covariance .* needs at least 2 items, there are 1"):
        moments.covariance(unbiased=True)


def test_no_items_have_nothing() -> None:
    for moments in (Moments(), Moments.of(torch.zeros(0, 3))):
        assert moments.num == 0
        with pytest.raises(InputError, match="a mean needs at least 1 items, there are 0"):
            _ = moments.mean
        with pytest.raises(InputError, match="a covariance needs at least 1 items"):
            moments.covariance(unbiased=False)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused_with_their_number_and_nothing_is_added(value: float) -> None:
    x = skewed()
    moments = Moments.of(x)
    bad = x.clone()
    bad[3, 1] = bad[3, 2] = bad[50, 0] = value
    with pytest.raises(InputError, match="features: 2 of 60 rows hold NaN or infinite values: check") as error:
        moments.add(bad)
    assert "\n" not in str(error.value)
    assert moments.num == 60 and torch.equal(moments.mean, Moments.of(x).mean)


def test_items_of_another_dimension_are_refused() -> None:
    with pytest.raises(InputError, match="items of 4 numbers cannot join those of 5"):
        Moments.of(skewed(dim=5)).add(skewed(dim=4))


def test_what_is_handed_out_is_not_what_is_kept() -> None:
    x = skewed()
    moments = Moments.of(x)
    moments.mean.zero_()
    moments.state()["mean"][:] = 0
    moments.state()["scatter"][:] = 0
    other = Moments()
    other.merge(moments)
    other.add(x + 1)
    torch.testing.assert_close(moments.mean, x.mean(dim=0))
    torch.testing.assert_close(moments.covariance(True), torch.cov(x.T))


def test_a_state_goes_on_as_if_nothing_had_happened() -> None:
    x = skewed()
    moments = Moments.of(x[:20])
    again = Moments.from_state(moments.state())
    for each in (moments, again):
        each.add(x[20:])
    assert again.num == 60
    assert torch.equal(again.mean, moments.mean) and torch.equal(again.covariance(True), moments.covariance(True))
    assert Moments.from_state(Moments().state()).num == 0


@pytest.mark.parametrize(
    "change",
    [
        {"num": np.array(-1)},
        {"num": np.array(2.5)},
        {"num": np.array([3])},
        {"mean": np.zeros(4)},
        {"mean": np.zeros(5, np.float32)},
        {"mean": np.full(5, np.nan)},
        {"scatter": np.zeros((5, 4))},
        {"scatter": np.full((5, 5), np.inf)},
    ],
)
def test_a_damaged_state_is_refused(change: dict[str, np.ndarray]) -> None:
    state = Moments.of(skewed()).state()
    with pytest.raises(InputError, match="stored statistics: damaged"):
        Moments.from_state({**state, **change})
    with pytest.raises(InputError, match="num, mean and scatter are needed"):
        Moments.from_state({name: array for name, array in state.items() if name not in change})
