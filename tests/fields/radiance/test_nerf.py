from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from errors import InputError
from fields.modulation import CAM
from fields.nodes import build
from fields.radiance.nerf import NeRF, middles
from fields.radiance.rays import Rays
from fields.radiance.sampling import stratified
from tests.fields.radiance.small_scenes import copy_network, disturb, rays

SMALL = {"num_samples": (5, 6), "num_octaves": 3, "width": 8, "depth": 3, "skip": 2, "colour_width": 5}
SOFT = {**SMALL, "density": "softplus"}  # dense at every point, so that every difference shows


def asked(model: NeRF, some: Rays, viewdirs: torch.Tensor) -> list[torch.Tensor]:
    points = middles(some, stratified(some.near, some.far, 5))
    return [value.detach() for value in model(points, viewdirs)]


def test_points_lie_in_the_middle_of_intervals() -> None:
    some = rays(3)
    points = middles(some, torch.tensor([[2.0, 3.0, 6.0]]).expand(3, 3))
    torch.testing.assert_close(points[:, 1], some.origins + 4.5 * some.directions)


def test_grids_start_as_the_identity_without_a_norm() -> None:
    some = rays()
    for norm, same in (("none", True), ("ray", False), ("layer", False)):
        model = NeRF(**SOFT, norm=norm)
        plain = copy_network(model, NeRF(**SOFT, view_knots=None))
        pairs = zip(asked(model, some, some.viewdirs), asked(plain, some, some.viewdirs), strict=True)
        assert all(torch.allclose(one, other, atol=1e-6) == same for one, other in pairs), norm


@pytest.mark.parametrize("norm", ["none", "layer", "ray"])
def test_rays_are_seen_one_by_one(norm: str) -> None:
    model, some = disturb(NeRF(**SOFT, norm=norm)), rays(7)
    whole = model.render_rays(some)[-1]
    parts = [model.render_rays(some[start : start + 2])[-1] for start in range(0, 7, 2)]
    for name in ("rgb", "depth", "opacity", "weights"):
        joined = torch.cat([getattr(part, name) for part in parts])
        torch.testing.assert_close(joined, getattr(whole, name), rtol=0, atol=1e-6)


def test_density_depends_on_the_view_with_grids_only() -> None:
    some, turned = rays(), normalize(torch.randn(7, 3), dim=1)
    for view_knots, same in ((None, True), ((10, 3), False)):
        model = disturb(NeRF(**SOFT, view_knots=view_knots))
        (rgb, density), (other_rgb, other_density) = (asked(model, some, views) for views in (some.viewdirs, turned))
        assert torch.allclose(density, other_density, atol=1e-6) == same
        assert not torch.allclose(rgb, other_rgb, atol=1e-6)


@pytest.mark.parametrize("density", ["relu", "softplus"])
def test_colours_and_densities_are_in_their_ranges(density: str) -> None:
    model, some = disturb(NeRF(**{**SMALL, "density": density}), 3.0), rays()
    rgb, found = asked(model, some, some.viewdirs)
    assert (rgb >= 0).all() and (rgb <= 1).all() and (found >= 0).all()
    for level in model.render_rays(some):
        assert (level.rgb >= 0).all() and (level.rgb <= 1 + 1e-6).all()
        assert (level.depth >= 2).all() and (level.depth <= 4).all()


def test_backgrounds_are_behind_the_scene() -> None:
    model, some = NeRF(**SOFT), rays()
    white, black = (model.render_rays(some, background=kind)[-1] for kind in ("white", "black"))
    torch.testing.assert_close(white.rgb - black.rgb, (1 - black.opacity)[:, None].expand(-1, 3))


def test_gradients_reach_every_tensor() -> None:
    model = disturb(NeRF(**SOFT))
    sum(level.rgb.square().sum() for level in model.render_rays(rays())).backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad != 0).any() and parameter.grad.isfinite().all(), name


def test_the_grids_cover_azimuth_and_elevation() -> None:
    grids = [part for part in NeRF(**SMALL, view_knots=(6, 5), periodic=True).modules() if isinstance(part, CAM)]
    assert len(grids) == 3
    assert all(part.gamma.shape == (6, 5) and part.gamma.periodic == (True, False) for part in grids)


def test_views_that_are_no_numbers_are_refused() -> None:
    some = rays()
    with pytest.raises(InputError, match="NaN"):
        asked(NeRF(**SOFT), some, some.viewdirs * float("nan"))


@pytest.mark.parametrize("settings", [{"density": "exp"}, {"norm": "batch"}, {"num_samples": []}])
def test_settings_of_files_are_checked(settings: dict) -> None:
    with pytest.raises(InputError):
        build({"class_path": "fields.radiance.nerf.NeRF", "init_args": {**SMALL, **settings}}, 1000)
