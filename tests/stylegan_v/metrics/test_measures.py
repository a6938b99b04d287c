"""Summaries and numbers of the three measures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.choices import Frechet, Inception, Kernel
from stylegan_v.metrics.frechet import frechet_distance
from stylegan_v.metrics.inception_score import inception_score
from stylegan_v.metrics.kernel import kernel_distance
from stylegan_v.metrics.measures import Measure, limited, measure_of

OPTIONS = [Frechet(), Frechet("unbiased"), Kernel(), Kernel(3, 5, 2.0), Inception(2), Inception(2, 42)]


def features(num: int, dim: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(num, dim, generator=torch.Generator().manual_seed(seed)).softmax(dim=1)


def groups(rows: Tensor, size: int = 7) -> Iterator[Tensor]:
    yield from rows.split(size)


def compared(measure: Measure, first: Tensor, second: Tensor) -> float:
    reference = measure.summarize(groups(first), len(first)) if measure.needs_reference else None
    return measure.compare(reference, measure.summarize(groups(second), len(second)))


def test_values() -> None:
    first, second = features(30), features(20, seed=1)
    for unbiased in (True, False):
        measure = measure_of(Frechet("unbiased" if unbiased else "biased"), 0)
        expected = frechet_distance(first, second, unbiased=unbiased).item()
        assert compared(measure, first, second) == pytest.approx(expected, rel=1e-6)
    assert compared(measure_of(Kernel(scale=3.0), 0), first, second) == pytest.approx(
        3 * kernel_distance(first, second).item(), rel=1e-9
    )
    for seed in (None, 42):
        assert compared(measure_of(Inception(4, seed), 0), first, second) == inception_score(second, 4, seed)[0]


@pytest.mark.parametrize("options", OPTIONS)
def test_groups_do_not_matter_nor_what_comes_after_the_number(options: Frechet | Kernel | Inception) -> None:
    measure, rows = measure_of(options, 0), features(40)
    whole = measure.to_arrays(measure.summarize([rows[:30]], 30))
    parts = measure.to_arrays(measure.summarize(groups(rows), 30))
    assert whole.keys() == parts.keys()
    for name, array in whole.items():
        np.testing.assert_allclose(parts[name], array, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS)
def test_summaries_come_back_from_arrays_to_the_bit(options: Frechet | Kernel | Inception) -> None:
    measure = measure_of(options, 0)
    first, second = (measure.summarize(groups(features(20, seed=s)), 20) for s in (0, 1))
    reference = first if measure.needs_reference else None
    again = measure.from_arrays(measure.to_arrays(second))
    assert measure.compare(reference, again) == measure.compare(reference, second)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_features_that_are_no_numbers_are_refused(options: Frechet | Kernel | Inception, bad: float) -> None:
    rows = features(20)
    rows[3, 1] = bad
    with pytest.raises(InputError, match=r"1 of \d+ rows"):
        measure_of(options, 0).summarize(groups(rows), 20)


@pytest.mark.parametrize("options", OPTIONS)
def test_fewest_items(options: Frechet | Kernel | Inception) -> None:
    measure = measure_of(options, 0)
    assert np.isfinite(compared(measure, features(measure.min_items), features(measure.min_items, seed=1)))
    if measure.min_items > 1:
        with pytest.raises(InputError):
            compared(measure, features(measure.min_items - 1), features(measure.min_items - 1))


def test_subsets_keep_no_more_than_they_can_use() -> None:
    """A random part, with equal chances: where in the order an item comes does not matter."""
    rows = torch.arange(60.0)[:, None]
    counts = np.zeros(60)
    for seed in range(400):
        kept = measure_of(Kernel(2, 10), seed).summarize(groups(rows), 60)[:, 0].int().numpy()
        assert len(kept) == 20 and len(set(kept)) == 20
        counts[kept] += 1
    assert abs(counts / 400 - 1 / 3).max() < 5 * np.sqrt(2 / 9 / 400)


def test_subsets_are_those_of_the_seed() -> None:
    first, second = features(50), features(40, seed=1)
    values = [compared(measure_of(Kernel(3, 10), seed), first, second) for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]


def test_spread_within_a_draw() -> None:
    first, second = features(30), features(30, seed=1)
    moments = measure_of(Frechet(), 0).summarize(groups(first), 30)
    assert measure_of(Frechet(), 0).bootstrap(moments, moments) == {}, "of a Frechet distance it would be biased"
    assert measure_of(Kernel(2, 5), 0).bootstrap(first, second) == {}
    assert measure_of(Kernel(), 0).bootstrap(first[:3], second) == {}
    spread = measure_of(Kernel(num_resamples=50), 0).bootstrap(first, second)
    assert spread["low"] < kernel_distance(first, second).item() < spread["high"] and spread["std"] > 0
    std = measure_of(Inception(3), 0).bootstrap(None, first)
    assert std == {"std_over_splits": inception_score(first, 3)[1]}


def test_all_groups_are_asked_for() -> None:
    """Ranks would wait for each other otherwise."""
    asked = []
    rows = list(limited((asked.append(n) or torch.ones(2, 1) for n in range(4)), 3))
    assert [len(each) for each in rows] == [2, 1] and asked == [0, 1, 2, 3]
