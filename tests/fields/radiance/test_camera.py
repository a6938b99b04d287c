from __future__ import annotations

import math

import pytest
import torch

from errors import InputError
from fields.radiance.camera import Background, pixel_rays, render
from fields.radiance.nerf import NeRF
from fields.radiance.rays import Rays, Rendered
from tests.fields.radiance.small_scenes import disturb

# Rotated by a right angle about y: the camera looks along -x.
C2W = torch.tensor([[0.0, 0.0, 1.0, 4.0], [0.0, 1.0, 0.0, 0.5], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])


def test_directions_pass_through_the_centres_of_pixels_at_depth_one() -> None:
    rays = pixel_rays(C2W, (2, 4), 10.0, near=1.0, far=3.0)
    assert len(rays) == 8 and rays.times is None
    camera = rays.directions @ C2W[:3, :3]
    torch.testing.assert_close(camera[0], torch.tensor([-0.15, 0.05, -1.0]))
    torch.testing.assert_close(camera[7], torch.tensor([0.15, -0.05, -1.0]))
    torch.testing.assert_close(rays.directions.mean(dim=0), torch.tensor([-1.0, 0.0, 0.0]))
    assert (rays.origins == torch.tensor([4.0, 0.5, 0.0])).all()
    assert (rays.near == 1).all() and (rays.far == 3).all()
    torch.testing.assert_close(rays.radii, torch.full((8, 1), 0.1 / math.sqrt(3)))


def test_pixels_are_numbered_row_by_row() -> None:
    everything = pixel_rays(C2W, (3, 5), 7.0, time=0.25)
    some = pixel_rays(C2W, (3, 5), 7.0, torch.tensor([8, 10]), time=0.25)
    for name in ("origins", "directions", "viewdirs", "radii", "near", "far", "times"):
        assert torch.equal(getattr(some, name), getattr(everything[torch.tensor([8, 10])], name))


def test_unit_directions_leave_the_cones_as_they_are() -> None:
    plane, unit = (pixel_rays(C2W, (4, 4), 3.0, unit=unit) for unit in (False, True))
    assert torch.equal(plane.viewdirs, unit.viewdirs) and torch.equal(unit.directions, unit.viewdirs)
    lengths = plane.directions.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(unit.radii * lengths, plane.radii)


class Compass:
    """Sees where it looks."""

    def render_rays(
        self, rays: Rays, jitter: torch.Generator | None = None, background: Background = "white"
    ) -> list[Rendered]:
        nothing = Rendered(0 * rays.viewdirs, rays.far[:, 0], 0 * rays.near[:, 0], rays.near)
        opacity = rays.far[:, 0] if rays.times is None else rays.times
        return [nothing, Rendered(rays.viewdirs, rays.near[:, 0], opacity, rays.near)]


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_pictures_are_of_the_finest_level_whatever_the_chunk(chunk: int) -> None:
    view = render(Compass(), C2W, (3, 2), 2.0, 1.0, 2.0, time=0.5, chunk=chunk)
    assert view.rgb.shape == (3, 2, 3)
    assert torch.equal(view.rgb.reshape(-1, 3), pixel_rays(C2W, (3, 2), 2.0).viewdirs)
    assert (view.depth == 1).all() and (view.opacity == 0.5).all()


@pytest.mark.parametrize("focal", [0.0, -1.0, math.nan, math.inf])
def test_focal_lengths_are_positive(focal: float) -> None:
    with pytest.raises(InputError, match="focal"):
        pixel_rays(C2W, (2, 2), focal)


def test_matrices_are_finite() -> None:
    with pytest.raises(InputError, match="camera"):
        pixel_rays(C2W * math.nan, (2, 2), 1.0)
    with pytest.raises(InputError, match="chunk"):
        render(Compass(), C2W, (2, 2), 1.0, 1.0, 2.0, chunk=0)


@pytest.mark.parametrize("unit", [False, True])
def test_the_chunk_changes_no_picture_of_a_field(unit: bool) -> None:
    field = disturb(NeRF((5, 6), 3, width=8, depth=3, skip=2, colour_width=5, density="softplus"))
    whole, parts = (render(field, C2W, (4, 5), 6.0, 2.0, 6.0, chunk=chunk, unit=unit) for chunk in (100, 3))
    for name in ("rgb", "depth", "opacity"):
        torch.testing.assert_close(getattr(whole, name), getattr(parts, name), rtol=0, atol=1e-6)
