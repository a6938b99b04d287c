"""Frechet distance between two sets of features, each summarised by a Gaussian (Dowson and Landau 1982).

Shape legend
    N, M    items of the first and of the second set
    D       feature dimension
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.moments import Moments


def frechet_distance(
    first: Float[Tensor, "N D"], second: Float[Tensor, "M D"], *, unbiased: bool = True
) -> Float[Tensor, ""]:
    """Squared Frechet distance of the Gaussians fitted to two sets of features, in float64.

    It falls with the number of items until that is many times D: compare only values of equal N, M.

    Args:
        first: Features of the first set.
        second: Features of the second set.
        unbiased: Covariances divide by N - 1; else by N, as the StyleGAN-V protocol does.
    """
    return gaussian_frechet_distance(*_moments(first, unbiased), *_moments(second, unbiased))


def gaussian_frechet_distance(
    mean1: Float[Tensor, " D"], cov1: Float[Tensor, "D D"], mean2: Float[Tensor, " D"], cov2: Float[Tensor, "D D"]
) -> Float[Tensor, ""]:
    """|mean1 - mean2|^2 + tr(cov1 + cov2 - 2 (cov1 cov2)^(1/2)).

    cov1 cov2 has the eigenvalues of the symmetric cov1^(1/2) cov2 cov1^(1/2), so two symmetric decompositions give the
    trace without the complex square root of a product that is not symmetric.

    Args:
        mean1: Mean of the first Gaussian.
        cov1: Its covariance, symmetric and positive semi-definite; may be singular.
        mean2: Mean of the second Gaussian.
        cov2: Its covariance.
    """
    eigenvalues, vectors = torch.linalg.eigh(cov1)
    root = vectors * eigenvalues.clamp(min=0).sqrt() @ vectors.T
    trace_of_root = torch.linalg.eigvalsh(root @ cov2 @ root).clamp(min=0).sqrt().sum()
    return (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * trace_of_root


def moments_distance(first: Moments, second: Moments, *, unbiased: bool) -> float:
    """Squared Frechet distance of the Gaussians with these moments; 0 for equal ones up to rounding.

    The same as `gaussian_frechet_distance`, in the span of the smaller set: deviations from a mean have a rank below
    their number n, so with cov1 = A A^T and A of n - 1 columns, the other eigenvalues of cov1 cov2 are zero. To leave
    them out saves time, and the square roots of their rounding errors, which add up where n is below D.

    Args:
        first: Of the first set.
        second: Of the second set.
        unbiased: Covariances divide by N - 1, else by N.

    Raises:
        InputError: Too few items for such a covariance, or two feature dimensions.
    """
    small, large = sorted((first, second), key=lambda moments: moments.num)
    shift = _difference(small.mean, large.mean)
    small_covariance, large_covariance = small.covariance(unbiased), large.covariance(unbiased)
    eigenvalues, vectors = torch.linalg.eigh(small_covariance)  # ascending
    unused = max(len(eigenvalues) - (small.num - 1), 0)
    root = vectors[:, unused:] * eigenvalues[unused:].clamp(min=0).sqrt()
    trace_of_root = torch.linalg.eigvalsh(root.T @ large_covariance @ root).clamp(min=0).sqrt().sum()
    return float(shift.square().sum() + small_covariance.trace() + large_covariance.trace() - 2 * trace_of_root)


def _difference(mean1: Tensor, mean2: Tensor) -> Tensor:
    if mean1.shape != mean2.shape:
        raise InputError(
            f"features: sets of {len(mean1)} and {len(mean2)} numbers per item cannot be compared: take both from one "
            "feature network"
        )
    return mean1 - mean2


def _moments(features: Tensor, unbiased: bool) -> tuple[Tensor, Tensor]:
    features = features.double()
    covariance = torch.cov(features.T, correction=int(unbiased)).view(features.shape[1], -1)  # of one feature: a scalar
    return features.mean(dim=0), covariance
