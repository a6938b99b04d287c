from __future__ import annotations

import pytest
import scipy.linalg
import torch
from torch import Tensor

from stylegan_v.metrics.frechet import frechet_distance, gaussian_frechet_distance


def _covariance(dim: int, seed: int) -> Tensor:
    root = torch.randn(dim, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return root @ root.T


def test_distance_of_gaussians_on_a_line() -> None:
    """In one dimension it is (m1 - m2)^2 + (s1 - s2)^2."""
    mean, var = torch.tensor([1.0, 3.0], dtype=torch.float64), torch.tensor([4.0, 25.0], dtype=torch.float64)
    distance = gaussian_frechet_distance(mean[:1], var[:1, None], mean[1:], var[1:, None])
    assert distance.item() == pytest.approx(4 + 9)


def test_distance_of_diagonal_gaussians_is_the_sum_over_the_axes() -> None:
    std1, std2 = torch.tensor([1.0, 2.0, 0.0]).double(), torch.tensor([3.0, 0.5, 2.0]).double()
    zero = torch.zeros(3, dtype=torch.float64)
    distance = gaussian_frechet_distance(zero, std1.square().diag(), zero, std2.square().diag())
    assert distance.item() == pytest.approx(4 + 2.25 + 4)


def test_eigenvalues_agree_with_the_square_root_of_the_product() -> None:
    cov1, cov2 = _covariance(6, 0), _covariance(6, 1)
    mean1, mean2 = torch.zeros(6, dtype=torch.float64), torch.ones(6, dtype=torch.float64)
    root = torch.from_numpy(scipy.linalg.sqrtm((cov1 @ cov2).numpy()).real)
    expected = 6 + cov1.trace() + cov2.trace() - 2 * root.trace()
    torch.testing.assert_close(gaussian_frechet_distance(mean1, cov1, mean2, cov2), expected)


def test_a_set_is_at_distance_zero_of_itself_even_when_its_covariance_is_singular() -> None:
    features = torch.randn(10, 30)
    assert abs(frechet_distance(features, features).item()) < 1e-5


def test_a_shift_costs_its_squared_length() -> None:
    features = torch.randn(50, 4)
    shift = torch.tensor([1.0, -2.0, 0.5, 0.0])
    assert frechet_distance(features, features + shift).item() == pytest.approx(5.25, rel=1e-4)


@pytest.mark.parametrize("unbiased, divisor", [(True, 3), (False, 4)])
def test_covariance_divides_by_what_is_said(unbiased: bool, divisor: int) -> None:
    """Against a constant set the distance is the trace of the covariance."""
    features = torch.tensor([[-1.0], [-1.0], [1.0], [1.0]])
    distance = frechet_distance(features, torch.zeros(4, 1), unbiased=unbiased)
    assert distance.item() == pytest.approx(4 / divisor)


def test_symmetric_and_insensitive_to_a_common_rotation() -> None:
    x, y = torch.randn(40, 5).double(), 2 * torch.randn(40, 5).double() + 1
    rotation, _ = torch.linalg.qr(torch.randn(5, 5).double())
    distance = frechet_distance(x, y)
    torch.testing.assert_close(frechet_distance(y, x), distance)
    torch.testing.assert_close(frechet_distance(x @ rotation, y @ rotation), distance)
