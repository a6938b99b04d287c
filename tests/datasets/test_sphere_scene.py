from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from datasets.cameras import directions
from datasets.sphere_scene import LIGHT, cameras, moments, spheres, take_views, trace
from errors import InputError


def _one(origin: list[float], towards: list[float], table: torch.Tensor | None = None) -> tuple[torch.Tensor, float]:
    unit = normalize(torch.tensor([towards], dtype=torch.float64), dim=1)
    rgb, depth = trace(torch.tensor([origin], dtype=torch.float64), unit, spheres() if table is None else table)
    return rgb[0], float(depth[0])


def test_a_ray_at_the_middle_of_a_sphere_meets_its_front() -> None:
    light = normalize(torch.tensor(LIGHT, dtype=torch.float64), dim=0)
    rgb, depth = _one([0.0, 0.0, 4.0], [0.0, 0.0, -1.0])
    assert depth == pytest.approx(3.5)
    halfway = normalize(light + torch.tensor([0.0, 0.0, 1.0]), dim=0)[2]
    albedo = torch.tensor([0.85, 0.25, 0.20], dtype=torch.float64)
    assert_close(rgb, (albedo * (0.25 + 0.75 * light[2]) + 0.6 * halfway**20).clamp(0, 1))


def test_the_dark_side_has_ambient_light_alone() -> None:
    rgb, depth = _one([0.0, 0.0, -4.0], [0.0, 0.0, 1.0])
    assert depth == pytest.approx(3.5)
    assert_close(rgb, 0.25 * torch.tensor([0.85, 0.25, 0.20], dtype=torch.float64))


def test_a_ray_that_meets_nothing_is_white_and_one_from_inside_meets_the_far_wall() -> None:
    rgb, depth = _one([0.0, 0.0, 4.0], [0.0, 0.0, 1.0])
    assert depth == -1 and rgb.tolist() == [1, 1, 1]
    assert _one([0.0, 0.0, 0.0], [0.0, 0.0, 1.0])[1] == pytest.approx(0.5)


def test_the_nearest_sphere_hides_the_others() -> None:
    table = torch.tensor([[0.0, 0, 0, 0.5, 1, 0, 0], [0.0, 0, 2, 0.25, 0, 1, 0]], dtype=torch.float64)
    rgb, depth = _one([0.0, 0.0, 4.0], [0.0, 0.0, -1.0], table)
    assert depth == pytest.approx(1.75) and rgb[1] > rgb[0]


def test_test_views_stand_half_a_step_further_at_the_same_heights() -> None:
    train, test = cameras(8)[:, :3, 3], cameras(8, test=True)[:, :3, 3]
    assert_close(train[:, 2], test[:, 2])
    turned = torch.atan2(test[:, 1], test[:, 0]) - torch.atan2(train[:, 1], train[:, 0])
    assert_close(turned.remainder(2 * math.pi), torch.full((8,), math.pi * 0.618034, dtype=torch.float64))
    elevation = torch.asin(train[:, 2] / 4).rad2deg()
    assert elevation.min() > 10 and elevation.max() < 70


def test_depth_is_distance_along_unit_directions() -> None:
    views = take_views(2, (6, 8))
    hit = views.depth >= 0
    assert 0 < hit.sum() < hit.numel()
    for number in range(2):
        unit = normalize(directions(views.c2w[number], torch.arange(48), views.size, views.focal), dim=1)
        points = views.c2w[number, :3, 3] + views.depth[number].reshape(-1, 1) * unit
        met = hit[number].reshape(-1)
        table = spheres().float()
        nearest = (torch.cdist(points, table[:, :3]) - table[:, 3]).abs().min(dim=1).values
        assert nearest[met].max() < 1e-5
        assert (views.rgb[number].reshape(-1, 3)[~met] == 1).all()


def test_more_views_begin_with_the_same_ones() -> None:
    few, many = take_views(2, (5, 5)), take_views(4, (5, 5))
    assert_close(few.rgb, many.rgb[:2], atol=0, rtol=0)


def test_the_moving_sphere_comes_back_and_the_red_one_rests() -> None:
    assert_close(spheres(0.0), spheres(1.0), atol=1e-12, rtol=0)
    for time in (0.0, 0.3, 0.9):
        assert_close(spheres(time)[0], spheres()[0])
    assert_close(spheres(0.25)[1, :3], torch.tensor([0.0, 0.85, -0.1], dtype=torch.float64), atol=1e-12, rtol=0)
    views = take_views(5, (4, 4), moving=True)
    assert views.times.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert moments(1, moving=True).tolist() == [0] and take_views(2, (4, 4)).times is None


def test_pictures_of_finer_size_have_the_same_mean() -> None:
    coarse, fine = take_views(1, (20, 20)), take_views(1, (40, 40))
    assert abs(float(coarse.rgb.mean() - fine.rgb.mean())) < 0.01


@pytest.mark.parametrize(("num_views", "size"), [(0, (4, 4)), (2, (0, 4))])
def test_no_view_or_pixel_is_refused(num_views: int, size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="at least one view"):
        take_views(num_views, size)
