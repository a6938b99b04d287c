from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from datasets.cameras import around, directions, focal_of, look_at


def test_focal_length_puts_the_edge_of_the_picture_at_half_the_angle() -> None:
    focal = focal_of(math.pi / 2, 40)
    assert focal == pytest.approx(20)
    assert math.atan(8 / focal_of(0.7, 16)) == pytest.approx(0.35)


def test_camera_is_a_rotation_that_looks_at_its_target_upright() -> None:
    positions = torch.tensor([[3.0, -1.0, 2.0], [-2.0, 0.5, -1.0]], dtype=torch.float64)
    target = (0.5, 0.25, 0.0)
    c2w = look_at(positions, target)
    turn = c2w[:, :3, :3]
    assert_close(turn @ turn.mT, torch.eye(3, dtype=torch.float64).expand(2, 3, 3), atol=1e-12, rtol=0)
    assert_close(torch.linalg.det(turn), torch.ones(2, dtype=torch.float64))
    towards = torch.nn.functional.normalize(torch.tensor(target, dtype=torch.float64) - positions, dim=1)
    assert_close(-turn[:, :, 2], towards)
    assert_close(turn[:, 2, 0], torch.zeros(2, dtype=torch.float64))  # the x axis is level
    assert (turn[:, 2, 1] > 0).all()  # y points upwards
    assert_close(c2w[:, :3, 3], positions)
    assert_close(c2w[:, 3], torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64).expand(2, 4))


def test_cameras_around_the_origin_stand_where_their_angles_say() -> None:
    angles = torch.tensor([0.0, math.pi / 2]), torch.tensor([0.0, math.pi / 6])
    where = around(*angles, radius=4.0)[:, :3, 3]
    assert_close(where, torch.tensor([[4.0, 0.0, 0.0], [0.0, 4 * math.cos(math.pi / 6), 2.0]]), atol=1e-6, rtol=0)


def test_rays_go_through_the_centres_of_pixels() -> None:
    size, focal = (2, 4), 2.0
    found = directions(torch.eye(4), torch.arange(8), size, focal)
    assert_close(found[0], torch.tensor([-0.75, 0.25, -1.0]))
    assert_close(found[7], torch.tensor([0.75, -0.25, -1.0]))
    assert_close(found.mean(dim=0), torch.tensor([0.0, 0.0, -1.0]))


def test_a_camera_per_pixel_is_the_same_as_one_camera_at_a_time() -> None:
    c2w = around(torch.tensor([0.3, 2.0]), torch.tensor([0.5, -0.2]), 3.0)
    pixels = torch.tensor([1, 5])
    both = directions(c2w, pixels, (3, 2), 1.7)
    for number in range(2):
        assert_close(both[number], directions(c2w[number], pixels[number : number + 1], (3, 2), 1.7)[0])
