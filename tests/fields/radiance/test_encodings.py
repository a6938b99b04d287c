from __future__ import annotations

import math

import torch

from fields.encodings import PositionalEncoding
from fields.radiance.encodings import Volume, cone, cylinder, integrated, octaves


def test_octaves_are_the_positional_encoding_without_pi() -> None:
    x = torch.randn(6, 2, 3)
    reference = PositionalEncoding(3, 5, scale=1.0, layout="wave octave axis")
    torch.testing.assert_close(octaves(x, 5), reference(x))
    assert torch.equal(octaves(x, 0), x)


def test_integrated_waves_are_means_over_normal_distributions() -> None:
    mean, variance = torch.tensor([[[0.3, -0.2, 1.1]]]), torch.tensor([[[0.2, 0.05, 0.5]]])
    samples = mean[0] + torch.randn(200_000, 3) * variance[0].sqrt()
    expected = octaves(samples, 3)[:, 3:].mean(dim=0)
    torch.testing.assert_close(integrated(Volume(mean, variance), 3)[0, 0], expected, rtol=0, atol=0.01)


def test_points_have_waves_as_they_are_and_large_volumes_none() -> None:
    mean = torch.randn(2, 4, 3)
    point, large = Volume(mean, torch.zeros(2, 4, 3)), Volume(mean, torch.full((2, 4, 3), 1e4))
    torch.testing.assert_close(integrated(point, 4), octaves(mean, 4)[..., 3:])
    torch.testing.assert_close(integrated(large, 4), torch.zeros(2, 4, 24))


def _moments(shape: str, radius: float, start: float, end: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of points drawn evenly in a piece of a cone (or cylinder) about the z axis."""
    points = torch.rand(500_000, 3, dtype=torch.float64) * 2 - 1
    height = start + (end - start) * (points[:, 2] + 1) / 2
    widest = radius * (end if shape == "cone" else 1)
    x, y = widest * points[:, 0], widest * points[:, 1]
    limit = radius * height if shape == "cone" else torch.full_like(height, radius)
    inside = torch.stack((x, y, height), dim=1)[x.square() + y.square() <= limit.square()]
    return inside.mean(dim=0), inside.var(dim=0)


def test_volumes_have_the_moments_of_pieces_of_cones_and_cylinders() -> None:
    origin, radii = torch.zeros(1, 3, dtype=torch.float64), torch.full((1, 1), 0.4, dtype=torch.float64)
    direction, edges = torch.tensor([[0.0, 0.0, 1.0]]).double(), torch.tensor([[1.0, 2.0]]).double()
    for shape, cut in (("cone", cone), ("cylinder", cylinder)):
        found = cut(origin, direction, radii, edges)
        mean, variance = _moments(shape, 0.4, 1.0, 2.0)
        torch.testing.assert_close(found.mean[0, 0], mean, rtol=0, atol=3e-3)
        torch.testing.assert_close(found.variance[0, 0], variance, rtol=0, atol=3e-3)


def test_the_length_of_a_direction_is_a_unit_only() -> None:
    origins, directions, radii = torch.randn(3, 3), torch.randn(3, 3), torch.rand(3, 1) + 0.1
    edges = torch.rand(3, 6).cumsum(dim=1) + 1
    one, other = cone(origins, directions, radii, edges), cone(origins, 2 * directions, 2 * radii, edges / 2)
    torch.testing.assert_close(one.mean, other.mean)
    torch.testing.assert_close(one.variance, other.variance)


def test_variance_is_along_and_across_any_ray() -> None:
    """The trace of a covariance does not depend on where the ray points."""
    directions = torch.nn.functional.normalize(torch.randn(4, 3), dim=1)
    radii, edges = torch.full((4, 1), 0.3), torch.tensor([[2.0, 2.5]]).expand(4, 2)
    for cut in (cone, cylinder):
        traces = cut(torch.zeros(4, 3), directions, radii, edges).variance.sum(dim=-1)
        torch.testing.assert_close(traces, traces[:1].expand(4, 1))
    assert math.isclose(
        float(cylinder(torch.zeros(4, 3), directions, radii, edges).variance[0].sum()), 0.25 / 12 + 0.045, rel_tol=1e-5
    )
