from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.nn.functional import normalize

from errors import InputError
from fields.interface import parameter_groups
from fields.modulation import standardise
from fields.nodes import build
from fields.radiance.encodings import cone, integrated, octaves
from fields.radiance.mipnerf import MipNeRF
from fields.radiance.rays import Rays
from fields.radiance.sampling import stratified
from fields.weights import load_field, save_field
from tests.fields.radiance.small_scenes import copy_network, disturb, rays

SMALL = {"num_samples": (6, 6), "num_octaves": 4, "width": 8, "depth": 3, "skip": 2, "colour_width": 5}


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def density_of(model: MipNeRF, some: Rays, viewdirs: torch.Tensor) -> torch.Tensor:
    edges = stratified(some.near, some.far, 6)
    return model(cone(some.origins, some.directions, some.radii, edges), viewdirs)[1].detach()


def test_published_size() -> None:
    with torch.device("meta"):
        model, plain = MipNeRF(), MipNeRF(view_knots=None)
    groups = {group["name"]: sum(one.numel() for one in group["params"]) for group in parameter_groups(model)}
    assert count(model) == 613_220 and groups["grids"] == 480
    assert count(plain) == 613_220 - 480


def test_grids_start_as_the_normalised_plain_network() -> None:
    model, some = MipNeRF(**SMALL), rays()
    edges = stratified(some.near, some.far, 6)
    volume = cone(some.origins, some.directions, some.radii, edges)
    x, features = integrated(volume, 4), integrated(volume, 4)
    for number, layer in enumerate(model.network.trunk.layers):
        features = standardise(layer(features), (1, 2), 1e-6).relu()
        features = torch.cat((features, x), dim=-1) if number == 2 else features
    views = octaves(some.viewdirs, 4)[:, None].expand(-1, 6, -1)
    colour = model.network.colour(torch.cat((model.network.bottleneck(features), views), dim=-1)).relu()
    rgb, density = model(volume, some.viewdirs)
    torch.testing.assert_close(density, F.softplus(model.network.density(features)[..., 0] - 1))
    torch.testing.assert_close(rgb, model.network.rgb(colour).sigmoid() * 1.002 - 0.001)


@pytest.mark.parametrize("settings", [{}, {"view_knots": None}, {"shape": "cylinder"}, {"bits": 8}])
def test_rays_are_seen_one_by_one(settings: dict) -> None:
    model, some = disturb(MipNeRF(**SMALL, **settings)).double(), rays(7)
    some = Rays(
        *(getattr(some, name).double() for name in ("origins", "directions", "viewdirs", "radii", "near", "far"))
    )
    whole = model.render_rays(some)[-1]
    for chunk in (1, 3):
        parts = [model.render_rays(some[start : start + chunk])[-1] for start in range(0, 7, chunk)]
        for name in ("rgb", "depth", "opacity", "weights"):
            torch.testing.assert_close(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


def test_density_depends_on_the_view_with_grids_only() -> None:
    some, turned = rays(), normalize(torch.randn(7, 3), dim=1)
    plain, model = MipNeRF(**SMALL, view_knots=None), MipNeRF(**SMALL)
    assert torch.equal(density_of(plain, some, some.viewdirs), density_of(plain, some, turned))
    assert torch.equal(density_of(model, some, some.viewdirs), density_of(model, some, turned))
    disturb(model)
    assert not torch.allclose(density_of(model, some, some.viewdirs), density_of(model, some, turned), atol=1e-3)


def upwards(*elevations: float) -> torch.Tensor:
    angle = torch.deg2rad(torch.tensor(elevations))
    return torch.stack((angle.cos(), torch.zeros_like(angle), angle.sin()), dim=1)


def test_directions_that_point_upwards_differ_unless_as_in_the_original() -> None:
    """The original reads one row of its grids for all of them."""
    some = rays(2)
    same = Rays(
        *(
            getattr(some, name)[:1].expand(2, -1)
            for name in ("origins", "directions", "viewdirs", "radii", "near", "far")
        )
    )
    full, official = (disturb(MipNeRF(**SMALL, elevation=kind)) for kind in ("full", "official"))
    steep, flat = density_of(full, same, upwards(80.0, 10.0))
    assert not torch.allclose(steep, flat, atol=1e-3)
    steep, flat = density_of(official, same, upwards(80.0, 10.0))
    torch.testing.assert_close(steep, flat)
    steep, flat = density_of(official, same, upwards(-80.0, -10.0))
    assert not torch.allclose(steep, flat, atol=1e-3)


def test_a_periodic_azimuth_has_no_seam() -> None:
    some = rays(2)
    same = Rays(
        *(
            getattr(some, name)[:1].expand(2, -1)
            for name in ("origins", "directions", "viewdirs", "radii", "near", "far")
        )
    )
    beside = torch.tensor([[-1.0, 1e-6, 0.0], [-1.0, -1e-6, 0.0]])
    one, other = density_of(disturb(MipNeRF(**SMALL, periodic=True)), same, beside)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
    one, other = density_of(disturb(MipNeRF(**SMALL)), same, beside)
    assert not torch.allclose(one, other, atol=1e-3)


def test_weights_and_grids_are_quantised_and_learn() -> None:
    some = rays()
    whole, coarse = disturb(MipNeRF(**SMALL)), disturb(MipNeRF(**SMALL, bits=4))
    coarse.load_state_dict(whole.state_dict())
    assert not torch.allclose(coarse.render_rays(some)[-1].rgb, whole.render_rays(some)[-1].rgb, atol=1e-3)
    assert coarse.network.trunk.modulations[0].gamma.knots().unique().numel() <= 15
    coarse.render_rays(some)[-1].rgb.square().sum().backward()
    for name, parameter in coarse.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert any((parameter.grad != 0).any() for parameter in parameter_groups(coarse)[1]["params"])


def test_the_plain_network_is_the_same_without_grids() -> None:
    model = MipNeRF(**SMALL)
    plain = copy_network(model, MipNeRF(**SMALL, view_knots=None))
    assert {name for name in model.state_dict() if ".modulations." not in name} == set(plain.state_dict())


@pytest.mark.parametrize("settings", [{"shape": "pyramid"}, {"view_knots": [10]}, {"bits": 1}, {"elevation": "half"}])
def test_settings_of_files_are_checked(settings: dict) -> None:
    with pytest.raises(InputError):
        build({"class_path": "fields.radiance.mipnerf.MipNeRF", "init_args": {**SMALL, **settings}}, 1000)


def test_fields_are_kept_in_files(tmp_path: Path) -> None:
    model, some = disturb(MipNeRF(**SMALL, bits=8, periodic=True)), rays()
    arguments = {**SMALL, "num_samples": [6, 6], "bits": 8, "periodic": True}
    node = {"class_path": "fields.radiance.mipnerf.MipNeRF", "init_args": arguments}
    save_field(tmp_path, node, model.state_dict(), {})
    again = load_field(tmp_path)
    assert torch.equal(again.render_rays(some)[-1].rgb, model.render_rays(some)[-1].rgb)
