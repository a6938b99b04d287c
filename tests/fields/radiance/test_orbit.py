"""Where a camera that circles a scene is and when, and what is read of how a scene is looked at."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from datasets.sphere_scene import take_views
from errors import InputError
from fields.radiance.camera import render
from fields.radiance.nerf import NeRF
from fields.radiance.orbit import Scene, Tour, frames_of, parse_scene

SCENE = Scene(2.5, 5.5, True, "white", (8, 10), 0.7, 4.0, True)
STILL = dataclasses.replace(SCENE, moving=False)


def test_the_camera_goes_round_once_at_its_height() -> None:
    where = Tour(8, elevation=30.0).cameras(SCENE)[:, :3, 3]
    assert_close(where.norm(dim=1), torch.full((8,), 4.0))
    assert_close(where[:, 2], torch.full((8,), 2.0))
    azimuth = torch.atan2(where[:, 1], where[:, 0])
    assert_close(azimuth.diff().remainder(2 * math.pi), torch.full((7,), math.pi / 4))
    assert azimuth[0] == 0


def test_turns_azimuth_and_radius_are_as_asked() -> None:
    where = Tour(4, elevation=0.0, azimuth=90.0, turns=-2.0, radius=3.0).cameras(SCENE)[:, :3, 3]
    assert_close(where, 3 * torch.tensor([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]).repeat(2, 1), atol=1e-5, rtol=0)
    still = Tour(3, turns=0.0).cameras(SCENE)
    assert_close(still[0].expand(3, 4, 4), still)


def test_time_runs_or_stands_still() -> None:
    assert Tour(3).times(SCENE) == Tour(3, time="running").times(SCENE) == [0, 0.5, 1]
    assert Tour(2, time=0.25).times(SCENE) == Tour(2, time="0.25").times(SCENE) == [0.25, 0.25]
    assert Tour(1).times(SCENE) == [0]
    assert Tour(2).times(STILL) == [None, None]


@pytest.mark.parametrize(("time", "scene"), [(1.5, SCENE), (-0.1, SCENE), ("noon", SCENE), (0.5, STILL)])
def test_moments_that_are_not_are_refused(time: Any, scene: Scene) -> None:
    with pytest.raises(InputError, match=f"time: {time}: "):
        Tour(2, time=time).times(scene)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"num_frames": 0}, "num_frames"),
        ({"elevation": 90.0}, "elevation"),
        ({"elevation": math.nan}, "elevation"),
        ({"radius": 0.0}, "radius"),
        ({"turns": math.inf}, "turns"),
    ],
)
def test_tours_that_cannot_be_are_refused(settings: dict[str, Any], key: str) -> None:
    with pytest.raises(InputError, match=key):
        Tour(**{"num_frames": 2, **settings})


def test_the_scene_is_as_deep_from_elsewhere() -> None:
    assert SCENE.seen_from(4.0) == (2.5, 5.5)
    assert SCENE.seen_from(6.0) == (4.5, 7.5)
    assert SCENE.seen_from(1.0) == (pytest.approx(1e-3), 2.5)


def test_facts_of_views_come_back() -> None:
    views = take_views(2, (8, 10), moving=True)
    found = parse_scene(views.facts, Path("last.ckpt"))
    assert (found.near, found.far, found.unit, found.background) == (2.5, 5.5, True, "white")
    assert found.size == (8, 10) and found.moving
    assert found.fov_x == pytest.approx(0.6911) and found.radius == pytest.approx(4.0)


@pytest.mark.parametrize(
    "change",
    [
        {"near": 6.0},
        {"far": math.inf},
        {"fov_x": 4.0},
        {"radius": math.nan},
        {"height": 0},
        {"width": 10**9},
        {"near": "2"},
    ],
)
def test_facts_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    facts = take_views(1, (4, 4)).facts | change
    with pytest.raises(InputError, match=r"last\.ckpt: what it says of its scene"):
        parse_scene(facts, Path("last.ckpt"))


@pytest.mark.parametrize("facts", [None, {}, [1], {"near": 2.0}])
def test_files_that_do_not_tell_are_refused(facts: Any) -> None:
    with pytest.raises(InputError, match="does not say how its scene is looked at"):
        parse_scene(facts, Path("last.ckpt"))


def test_frames_are_what_the_cameras_see() -> None:
    torch.manual_seed(0)
    field = NeRF((4,), 2, 2, 8, 2, colour_width=8, density="softplus")
    tour, device = Tour(3, radius=5.0), torch.device("cpu")
    frames = list(frames_of(field, STILL, tour, (4, 6), 5, device))
    assert len(frames) == 3 and frames[0].shape == (1, 3, 4, 6)
    focal = 3 / math.tan(0.35)
    seen = render(field, tour.cameras(STILL)[1], (4, 6), focal, 3.5, 6.5, unit=True).rgb
    wanted = (seen.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(2, 0, 1)
    assert (frames[1][0].int() - wanted.int()).abs().max() <= 1
