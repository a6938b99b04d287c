"""Kernel distance between two sets of features: squared maximum mean discrepancy (Gretton et al. 2012).

Shape legend
    N, M    items of the first and of the second set
    D       feature dimension
    R       resamples
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.moments import refuse_infinite

_BLOCK = 4096  # rows and columns of a matrix of kernel values that are held at a time, 128 MiB


def kernel_distance(first: Float[Tensor, "N D"], second: Float[Tensor, "M D"], *, degree: int = 3) -> Float[Tensor, ""]:
    """Squared maximum mean discrepancy under the kernel (x . y / D + 1)^degree, in float64.

    The estimate is unbiased (Gretton et al. 2012, eq. 3): pairs of an item with itself are left out, so two samples of
    one distribution give zero on average, and a value may be negative. Degree 3 is the kernel of KID (Binkowski et al.
    2018, section 4).

    Args:
        first: Features of the first set, N >= 2.
        second: Features of the second set, M >= 2.
        degree: Of the polynomial kernel.

    Raises:
        InputError: Too few items.
    """
    _require_items(first, second, at_least=2)
    first, second = first.double(), second.double()
    if max(len(first), len(second)) > _BLOCK:
        every = (torch.ones(1, len(items), dtype=torch.bool, device=items.device) for items in (first, second))
        return _distances_within(first, second, *every, degree)[0]
    across = _kernel(first, second, degree).mean()
    return _mean_of_pairs(_kernel(first, first, degree)) + _mean_of_pairs(_kernel(second, second, degree)) - 2 * across


def subset_kernel_distance(
    first: Float[Tensor, "N D"],
    second: Float[Tensor, "M D"],
    *,
    num_subsets: int = 100,
    subset_size: int = 1000,
    rng: np.random.Generator,
) -> float:
    """Mean `kernel_distance` of random subsets of equal size: KID, which is given times 1000 where it is published.

    Args:
        first: Features of the first set, N >= 2.
        second: Features of the second set, M >= 2.
        num_subsets: How many, each drawn anew.
        subset_size: Items of either set, drawn without replacement; less where a set has fewer.
        rng: Of the draws.

    Raises:
        InputError: Too few items, or features that are not finite.
    """
    _require(first, second, at_least=2)
    size = min(subset_size, len(first), len(second))
    if size < 2 or num_subsets < 1:
        raise InputError(f"subsets: {num_subsets} of {size} items tell no distance: give at least 1 of 2")
    values = [kernel_distance(_draw(first, size, rng), _draw(second, size, rng)).item() for _ in range(num_subsets)]
    return float(np.mean(values))


def bootstrap(
    first: Float[Tensor, "N D"], second: Float[Tensor, "M D"], num_resamples: int, rng: np.random.Generator
) -> Float64[np.ndarray, " R"]:
    """Values of `kernel_distance` as new samples of the same sizes might give: its spread, from one sample.

    Resampling with replacement puts items beside their own copies, which raises every value, and even without such
    pairs it exaggerates the spread for equal distributions by sqrt(3) (the estimate is degenerate there). Instead both
    sets are parted into random halves A and B. Write U for the estimate and u for deviations from it:

    - an estimate is a mean over pairs, so its mean over all partings is U: E[u_A] = E[u_B] = 0 given the data, and
      Cov(U_A, U) = Cov(U_B, U) = Var(U);
    - A and B share no item, so Cov(U_A, U_B) = 0, and hence E[u_A u_B] = -Var(U), for any distributions and any size;
    - with l = (u_A - u_B) / 2 and q = (u_A + u_B) / 2, u_A u_B = q^2 - l^2.

    Values U + s l + q with s^2 = 1 - 2 mean(q^2) / mean(l^2) therefore have U as their mean, and a variance
    mean(l^2) - mean(q^2) whose expectation is Var(U). q is the degenerate part, which alone is left for equal
    distributions (s^2 is near 0, and taken for 0 when negative); l carries the spread of sets that are far apart.

    Sources: derived above; on halves and other subsamples, Politis, Romano and Wolf, "Subsampling", 1999, chapter 2; on
    the bootstrap of degenerate estimates, Arcones and Gine 1992.

    Args:
        first: Features of the first set, N >= 4.
        second: Features of the second set, M >= 4.
        num_resamples: R, partings and values, at least 2.
        rng: Of the partings.

    Returns:
        The values.

    Raises:
        InputError: Too few items or resamples, or features that are not finite.
    """
    _require(first, second, at_least=4)
    if num_resamples < 2:
        raise InputError(f"num_resamples: {num_resamples} tell no spread: give at least 2")
    first, second = first.double(), second.double()
    halves = [_halves(items, num_resamples, rng) for items in (first, second)]
    both = (torch.cat([half, ~half]) for half in halves)
    distance = kernel_distance(first, second)
    of_half, of_rest = (_distances_within(first, second, *both, degree=3) - distance).chunk(2)
    linear, quadratic = (of_half - of_rest) / 2, (of_half + of_rest) / 2
    smallest = torch.finfo(torch.float64).tiny  # of sets without any spread
    share = 1 - 2 * quadratic.square().mean() / linear.square().mean().clamp(min=smallest)
    return (distance + share.clamp(min=0).sqrt() * linear + quadratic).cpu().numpy()


def _kernel(x: Tensor, y: Tensor, degree: int) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** degree


def _mean_of_pairs(gram: Tensor) -> Tensor:
    """Mean over ordered pairs of different items."""
    num = len(gram)
    return (gram.sum() - gram.trace()) / (num * (num - 1))


def _distances_within(
    first: Float64[Tensor, "N D"],
    second: Float64[Tensor, "M D"],
    of_first: Bool[Tensor, "R N"],
    of_second: Bool[Tensor, "R M"],
    degree: int,
) -> Float64[Tensor, " R"]:
    """`kernel_distance` of parts of both sets, in blocks: each kernel value is computed once for all R of them.

    Args:
        first: The first set.
        second: The second set.
        of_first: Which of its items count, at least two of them in each row.
        of_second: Likewise.
        degree: Of the kernel.
    """
    num, other = of_first.sum(dim=1), of_second.sum(dim=1)
    across = _sums(first, second, of_first, of_second, degree) / (num * other)
    within = [
        (_sums(items, items, chosen, chosen, degree) - chosen.double() @ _of_itself(items, degree)) / (n * (n - 1))
        for items, chosen, n in ((first, of_first, num), (second, of_second, other))
    ]
    return within[0] + within[1] - 2 * across


def _sums(x: Tensor, y: Tensor, of_x: Tensor, of_y: Tensor, degree: int) -> Float64[Tensor, " R"]:
    """Sums of the kernel over the pairs of chosen items."""
    total = torch.zeros(len(of_x), dtype=torch.float64, device=x.device)
    rows, columns = (
        list(zip(items.split(_BLOCK), chosen.split(_BLOCK, dim=1), strict=True))
        for items, chosen in ((x, of_x), (y, of_y))
    )
    for (some_x, in_x), (some_y, in_y) in product(rows, columns):
        total += ((in_x.double() @ _kernel(some_x, some_y, degree)) * in_y).sum(dim=1)
    return total


def _of_itself(items: Tensor, degree: int) -> Float64[Tensor, " N"]:
    """The kernel of each item with itself."""
    return (items.square().sum(dim=1) / items.shape[1] + 1) ** degree


def _draw(items: Tensor, num: int, rng: np.random.Generator) -> Tensor:
    """Some of the items, none twice."""
    return items[torch.from_numpy(rng.choice(len(items), num, replace=False)).to(items.device)]


def _halves(items: Tensor, num: int, rng: np.random.Generator) -> Bool[Tensor, "R N"]:
    """Random halves of the items, each a row of marks."""
    half = np.arange(len(items)) < len(items) // 2
    return torch.from_numpy(rng.permuted(np.tile(half, (num, 1)), axis=1)).to(items.device)


def _require(first: Tensor, second: Tensor, at_least: int) -> None:
    _require_items(first, second, at_least)
    for features in (first, second):
        refuse_infinite(features)


def _require_items(first: Tensor, second: Tensor, at_least: int) -> None:
    if min(len(first), len(second)) < at_least:
        raise InputError(
            f"features: a kernel distance of {len(first)} and {len(second)} items cannot be told: give at least "
            f"{at_least} of each"
        )
