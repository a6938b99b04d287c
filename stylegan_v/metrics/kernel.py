"""Kernel distance between two sets of features: squared maximum mean discrepancy (Gretton et al. 2012).

Shape legend
    N, M    items of the first and of the second set
    D       feature dimension
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def kernel_distance(first: Float[Tensor, "N D"], second: Float[Tensor, "M D"], *, degree: int = 3) -> Float[Tensor, ""]:
    """Squared maximum mean discrepancy under the kernel (x . y / D + 1)^degree, in float64.

    The estimate is unbiased (Gretton et al. 2012, eq. 3): pairs of an item with itself are left out, so two samples of
    one distribution give zero on average, and a value may be negative. Degree 3 is the kernel of KID (Binkowski et al.
    2018, section 4).

    Args:
        first: Features of the first set, N >= 2.
        second: Features of the second set, M >= 2.
        degree: Of the polynomial kernel.
    """
    first, second = first.double(), second.double()
    across = _kernel(first, second, degree).mean()
    return _mean_of_pairs(_kernel(first, first, degree)) + _mean_of_pairs(_kernel(second, second, degree)) - 2 * across


def _kernel(x: Tensor, y: Tensor, degree: int) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** degree


def _mean_of_pairs(gram: Tensor) -> Tensor:
    """Mean over ordered pairs of different items."""
    num = len(gram)
    return (gram.sum() - gram.trace()) / (num * (num - 1))
