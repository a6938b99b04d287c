"""Frechet distance between two sets of features, each summarised by a Gaussian (Dowson and Landau 1982).

Shape legend
    N, M    items of the first and of the second set
    D       feature dimension
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


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


def _moments(features: Tensor, unbiased: bool) -> tuple[Tensor, Tensor]:
    features = features.double()
    covariance = torch.cov(features.T, correction=int(unbiased)).view(features.shape[1], -1)  # of one feature: a scalar
    return features.mean(dim=0), covariance
