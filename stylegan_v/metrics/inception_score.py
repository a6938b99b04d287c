"""Inception score: how sure a classifier is of each item, and how varied its answers are (Salimans et al. 2016).

Shape legend
    N       items
    C       classes
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from errors import InputError

_TOLERANCE = 1e-3  # of the sum of a row: classifiers may compute in half precision


def inception_score(
    probabilities: Float[Tensor, "N C"], num_splits: int = 10, shuffle_seed: int | None = None
) -> tuple[float, float]:
    """exp of the mean Kullback-Leibler divergence of the rows from their mean, for each of several parts, in float64.

    It lies between 1, where all rows are equal, and C, where every row is sure and all classes are as frequent. It
    grows with the items of a part: compare only values of equal N and number of splits.

    Args:
        probabilities: Class probabilities of each item.
        num_splits: Parts of neighbouring items, of equal size to within one.
        shuffle_seed: Of the order (`numpy.random.RandomState`) in which items are shared out; None: as they come. The
            original shuffles video scores by 42, and image scores not at all.

    Returns:
        Mean and standard deviation (over num_splits) of the scores of the parts.

    Raises:
        InputError: Fewer items than splits, or rows that are no probabilities.
    """
    if not 1 <= num_splits <= len(probabilities):
        raise InputError(
            f"num_splits: {len(probabilities)} items make no {num_splits} parts: give more videos, or fewer splits"
        )
    _require_probabilities(probabilities)
    rows = probabilities.cpu().double()
    if shuffle_seed is not None:
        rows = rows[torch.from_numpy(np.random.RandomState(shuffle_seed).permutation(len(rows)))]
    bounds = [part * len(rows) // num_splits for part in range(num_splits + 1)]
    scores = [_score(rows[first:last]) for first, last in pairwise(bounds)]
    return float(np.mean(scores)), float(np.std(scores))


def _score(rows: Float64[Tensor, "N C"]) -> float:
    # xlogy takes 0 log 0 as its limit, 0; where the mean is 0, so is every row.
    divergence = (torch.xlogy(rows, rows) - torch.xlogy(rows, rows.mean(dim=0))).sum(dim=1)
    return divergence.mean().exp().item()


def _require_probabilities(rows: Tensor) -> None:
    sums = rows.double().sum(dim=1)
    # Comparisons with NaN are false, so such rows count as bad.
    bad = int((~((sums - 1).abs() <= _TOLERANCE) | ~(rows >= 0).all(dim=1)).sum())
    if bad:
        raise InputError(
            f"probabilities: {bad} of {len(rows)} rows are not shares that add up to 1: check the weights of the "
            "feature network, and that it ends in a softmax"
        )
