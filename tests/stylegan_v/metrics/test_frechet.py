from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.frechet import frechet_distance, gaussian_frechet_distance, moments_distance
from stylegan_v.metrics.moments import Moments


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


def moments(num: int, dim: int, scale: float = 1.0) -> Moments:
    """Of correlated items."""
    return Moments.of(scale * torch.randn(num, dim).double() @ torch.randn(dim, dim).double() + torch.randn(dim))


def gaussian(mean: Tensor, covariance: Tensor) -> Moments:
    """Moments that are just these: of as many items as are needed for any rank."""
    num = len(mean) + 1
    scatter = (covariance * num).double().numpy()
    return Moments.from_state({"num": np.array(num), "mean": mean.double().numpy(), "scatter": scatter})


def test_moments_of_diagonal_gaussians_differ_by_their_axes() -> None:
    std1, std2 = torch.tensor([1.0, 2.0, 0.0]), torch.tensor([3.0, 0.5, 2.0])
    first, second = gaussian(torch.zeros(3), std1.square().diag()), gaussian(torch.ones(3), std2.square().diag())
    assert moments_distance(first, second, unbiased=False) == pytest.approx(3 + 4 + 2.25 + 4)


def test_moments_of_commuting_gaussians_differ_by_their_common_axes() -> None:
    """|mean1 - mean2|^2 + |cov1^(1/2) - cov2^(1/2)|^2."""
    axes, _ = torch.linalg.qr(torch.randn(6, 6).double())
    std1, std2 = torch.rand(6).double(), torch.rand(6).double()
    first, second = (gaussian(torch.zeros(6), axes * std.square() @ axes.T) for std in (std1, std2))
    assert moments_distance(first, second, unbiased=False) == pytest.approx((std1 - std2).square().sum().item())


def test_gaussians_of_one_line_each_are_apart_by_their_angle() -> None:
    """Covariances a a^T and b b^T: |a|^2 + |b|^2 - 2 |a . b|."""
    a, b = torch.tensor([3.0, 0.0, 4.0]), torch.tensor([-1.0, 2.0, 2.0])
    first, second = (gaussian(torch.zeros(3), line.outer(line)) for line in (a, b))
    assert moments_distance(first, second, unbiased=False) == pytest.approx(25 + 9 - 2 * 5)


def test_a_point_is_at_the_variance_of_the_others() -> None:
    point, cloud = Moments.of(torch.full((7, 4), 2.0)), moments(50, 4)
    expected = (cloud.mean - 2).square().sum() + cloud.covariance(True).trace()
    assert moments_distance(point, cloud, unbiased=True) == pytest.approx(expected.item())
    assert moments_distance(point, point, unbiased=True) == 0


def test_one_item_has_a_distance_only_where_its_covariance_is_zero() -> None:
    one, cloud = Moments.of(torch.zeros(1, 4)), moments(50, 4)
    expected = cloud.mean.square().sum() + cloud.covariance(False).trace()
    for pair in ((one, cloud), (cloud, one)):
        assert moments_distance(*pair, unbiased=False) == pytest.approx(expected.item())
        with pytest.raises(InputError, match="needs at least 2 items, there are 1"):
            moments_distance(*pair, unbiased=True)
    assert moments_distance(one, Moments.of(torch.ones(1, 4)), unbiased=False) == 4
    with pytest.raises(InputError, match="there are 0"):
        moments_distance(Moments(), cloud, unbiased=False)


@pytest.mark.parametrize("num1, num2", [(200, 300), (20, 300), (300, 20), (20, 15), (2, 2)])
@pytest.mark.parametrize("unbiased", [True, False])
def test_agrees_with_others_on_the_same_moments(num1: int, num2: int, unbiased: bool) -> None:
    """With fewer items than dimensions, both others take roots of rounding errors: half of the digits are theirs."""
    from torchmetrics.image.fid import _compute_fid

    first, second = moments(num1, 32), moments(num2, 32, scale=1.5)
    gaussians = (first.mean, first.covariance(unbiased), second.mean, second.covariance(unbiased))
    distance = moments_distance(first, second, unbiased=unbiased)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=scipy.linalg.LinAlgWarning)  # of singular matrices
        root = scipy.linalg.sqrtm((gaussians[1] @ gaussians[3]).numpy())
    naive = (gaussians[0] - gaussians[2]).square().sum() + gaussians[1].trace() + gaussians[3].trace()
    tolerance = 1e-9 if min(num1, num2) > 32 else 1e-5
    assert distance == pytest.approx(naive.item() - 2 * np.trace(root).real, rel=tolerance)
    assert distance == pytest.approx(_compute_fid(*gaussians).item(), rel=tolerance)
    assert distance == pytest.approx(gaussian_frechet_distance(*gaussians).item(), rel=tolerance)


def test_the_span_of_few_items_gives_what_their_own_plane_gives() -> None:
    """Items in a plane of many dimensions are as far apart as in coordinates of that plane."""
    plane, _ = torch.linalg.qr(torch.randn(64, 3).double())
    x, y = torch.randn(4, 3).double(), 2 * torch.randn(9, 3).double() + 1
    inside = moments_distance(Moments.of(x), Moments.of(y), unbiased=True)
    outside = moments_distance(Moments.of(x @ plane.T), Moments.of(y @ plane.T), unbiased=True)
    assert outside == pytest.approx(inside, rel=1e-7)


@pytest.mark.parametrize("num", [3, 20, 200])
def test_equal_moments_are_at_distance_zero(num: int) -> None:
    first = moments(num, 32)
    assert abs(moments_distance(first, first, unbiased=True)) < 1e-6 * first.covariance(True).trace().item()


@pytest.mark.parametrize("num", [20, 200])
def test_moments_do_not_mind_a_common_shift_or_rotation_nor_which_is_first(num: int) -> None:
    x, y = torch.randn(num, 32).double(), 2 * torch.randn(150, 32).double() + 1
    rotation, _ = torch.linalg.qr(torch.randn(32, 32).double())

    def distance(x: Tensor, y: Tensor) -> float:
        return moments_distance(Moments.of(x), Moments.of(y), unbiased=False)

    assert distance(y, x) == pytest.approx(distance(x, y), rel=1e-12)
    assert distance(x @ rotation, y @ rotation) == pytest.approx(distance(x, y), rel=1e-7)
    assert distance(x + 1e4, y + 1e4) == pytest.approx(distance(x, y), rel=1e-7)
    assert distance(3 * x, 3 * y) == pytest.approx(9 * distance(x, y), rel=1e-7)


def test_moments_of_two_networks_are_refused() -> None:
    with pytest.raises(InputError, match="sets of 3 and 4 numbers per item cannot be compared"):
        moments_distance(moments(5, 3), moments(6, 4), unbiased=True)


def test_features_of_an_image_network_take_the_same_way() -> None:
    """Where items are more than dimensions, the distance is the one of `frechet_distance`."""
    x, y = torch.randn(100, 8), 1.5 * torch.randn(120, 8) + 0.5
    for unbiased in (True, False):
        expected = frechet_distance(x, y, unbiased=unbiased).item()
        assert moments_distance(Moments.of(x), Moments.of(y), unbiased=unbiased) == pytest.approx(expected, rel=1e-10)
