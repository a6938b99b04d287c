from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.inception_score import inception_score


def answers(num: int = 60, num_classes: int = 7) -> Tensor:
    """Random class probabilities."""
    return torch.randn(num, num_classes).mul(2).softmax(dim=1)


def test_a_classifier_that_never_knows_scores_one() -> None:
    assert inception_score(torch.full((40, 8), 1 / 8)) == (pytest.approx(1), pytest.approx(0, abs=1e-12))


def test_sure_answers_of_all_classes_alike_score_their_number() -> None:
    assert inception_score(torch.eye(6).repeat(10, 1)) == (pytest.approx(6), pytest.approx(0, abs=1e-12))


def test_sure_answers_of_some_classes_score_the_exponential_of_their_entropy() -> None:
    """Classes seen in 3 of 4 and 1 of 4 items; the others never, whose 0 log 0 is 0."""
    frequencies = np.array([0.75, 0.25])
    rows = torch.eye(5)[[0, 0, 0, 1]]
    assert inception_score(rows, num_splits=1)[0] == pytest.approx(math.exp(-(frequencies * np.log(frequencies)).sum()))


def test_is_the_formula_item_by_item() -> None:
    rows = answers(6).double()
    scores = []
    for part in (rows[:3], rows[3:]):
        mean = part.mean(dim=0)
        divergences = [
            sum(p * math.log(p / q) for p, q in zip(row, mean.tolist(), strict=True)) for row in part.tolist()
        ]
        scores.append(math.exp(sum(divergences) / 3))
    mean, std = inception_score(rows, num_splits=2)
    assert mean == pytest.approx((scores[0] + scores[1]) / 2)
    assert std == pytest.approx(abs(scores[0] - scores[1]) / 2)


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore` will save", "ignore:The ``compute`` method of metric")
def test_agrees_with_torchmetrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which draws an order of its own, and divides the variance over splits by their number less one."""
    from torchmetrics.image.inception import InceptionScore

    logits = 2 * torch.randn(50, 7).double()
    metric = InceptionScore(feature=torch.nn.Identity(), splits=5)
    metric.features = [logits]
    order = torch.randperm(50)
    monkeypatch.setattr(torch, "randperm", lambda num: order)
    their_mean, their_std = metric.compute()
    mean, std = inception_score(logits[order].softmax(dim=1), num_splits=5)
    assert mean == pytest.approx(their_mean.item())
    assert std == pytest.approx(their_std.item() * math.sqrt(4 / 5))


def test_parts_are_equal_to_within_one_item() -> None:
    rows = answers(11)
    parts = [inception_score(part, num_splits=1)[0] for part in (rows[:3], rows[3:7], rows[7:])]
    assert inception_score(rows, num_splits=3) == (pytest.approx(np.mean(parts)), pytest.approx(np.std(parts)))


def test_the_order_is_that_of_numpys_old_generator() -> None:
    rows = answers()
    shuffled = rows.numpy().copy()
    np.random.RandomState(42).shuffle(shuffled)
    assert inception_score(rows, shuffle_seed=42) == inception_score(torch.from_numpy(shuffled))
    assert inception_score(rows, shuffle_seed=42) != inception_score(rows)


def test_lies_between_one_and_the_number_of_classes() -> None:
    assert 1 < inception_score(answers())[0] < 7


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 0.9])
def test_rows_that_are_no_probabilities_are_refused_with_their_number(value: float) -> None:
    rows = answers()
    rows[[3, 8], 2] = value
    with pytest.raises(InputError, match="probabilities: 2 of 60 rows are not shares that add up to 1"):
        inception_score(rows)


def test_negative_shares_that_add_up_to_one_are_refused() -> None:
    with pytest.raises(InputError, match="1 of 2 rows"):
        inception_score(torch.tensor([[1.5, -0.5], [0.5, 0.5]]), num_splits=1)


def test_half_precision_is_precise_enough() -> None:
    rows = answers()
    assert inception_score(rows.half())[0] == pytest.approx(inception_score(rows)[0], rel=1e-2)


@pytest.mark.parametrize("num, num_splits", [(9, 10), (0, 1), (5, 0)])
def test_too_few_items_are_refused(num: int, num_splits: int) -> None:
    with pytest.raises(InputError, match=f"num_splits: {num} items make no {num_splits} parts"):
        inception_score(torch.full((num, 4), 0.25), num_splits=num_splits)
