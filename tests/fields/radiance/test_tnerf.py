from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.interface import parameter_groups
from fields.radiance.nerf import middles
from fields.radiance.rays import Rays
from fields.radiance.sampling import stratified
from fields.radiance.tnerf import Deformation, TNeRF
from tests.fields.radiance.small_scenes import copy_network, disturb, rays

SMALL = {"num_samples": (5,), "num_octaves": 3, "width": 8, "depth": 3, "skip": 2, "colour_width": 5}
SMALL |= {"warp_width": 6, "warp_depth": 2, "density": "softplus"}


def asked(model: TNeRF, some: Rays, time: float | torch.Tensor) -> list[torch.Tensor]:
    points = middles(some, stratified(some.near, some.far, 5))
    return [value.detach() for value in model(points, some.viewdirs, torch.as_tensor(time).expand(len(some)))]


def still(model: TNeRF) -> TNeRF:
    """The same without deformation, so that time enters by the grids only."""
    torch.nn.init.zeros_(model.deformation.shift.weight)
    return model


def test_published_size() -> None:
    with torch.device("meta"):
        model, plain = TNeRF(), TNeRF(time_knots=None)
    groups = {group["name"]: sum(one.numel() for one in group["params"]) for group in parameter_groups(model)}
    assert sum(groups.values()) == 613_271 and groups["grids"] == 80
    assert sum(parameter.numel() for parameter in plain.parameters()) == 613_271 - 80


def test_points_hardly_move_at_the_beginning() -> None:
    deformation, points = Deformation(), torch.randn(3, 5, 3)
    shifts = deformation(points, torch.rand(3))
    assert 0 < shifts.abs().max() < 0.01


def test_places_are_not_rounded_by_autocast() -> None:
    deformation, points, times = Deformation(), torch.randn(3, 5, 3), torch.rand(3)
    expected = deformation(points, times)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(deformation(points, times), expected)
        seen = TNeRF(**SMALL).render_rays(rays(3, times))[-1]
    assert seen.rgb.dtype == seen.depth.dtype == seen.weights.dtype == torch.float32


def test_grids_start_as_the_identity() -> None:
    model, some = TNeRF(**SMALL), rays()
    plain = copy_network(model, TNeRF(**SMALL, time_knots=None))
    for ours, theirs in zip(asked(model, some, 0.3), asked(plain, some, 0.3), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_modulation_is_linear_between_knots() -> None:
    model = disturb(TNeRF(**SMALL))
    grids = model.radiance.network.trunk.modulations[1]
    knots = torch.linspace(0, 1, 5)
    for read, values in zip(grids.read(2 * knots[:, None] - 1), (grids.gamma.values, grids.beta.values), strict=True):
        torch.testing.assert_close(read[:, 0], values[0])
    for start in knots[:-1]:
        share = torch.tensor([0.0, 0.3, 1.0])
        for read in grids.read((2 * (start + 0.25 * share) - 1)[:, None]):
            torch.testing.assert_close(read[1], torch.lerp(read[0], read[2], 0.3))


def test_a_field_of_one_layer_is_piecewise_linear_in_time_before_it_is_rectified() -> None:
    model = still(disturb(TNeRF(**{**SMALL, "depth": 1})))
    with torch.no_grad():
        model.radiance.network.trunk.modulations[0].beta.values.add_(50.0)  # nothing is rectified away
    points, views = torch.randn(2, 4, 21), torch.randn(2, 27)
    network = model.radiance.network

    def density(time: float) -> torch.Tensor:
        return network(points, views, torch.full((2, 1), 2 * time - 1))[1].detach()

    torch.testing.assert_close(density(0.3), torch.lerp(density(0.25), density(0.5), 0.2), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(density(0.25), torch.lerp(density(0.0), density(0.5), 0.5), atol=1e-2)


def test_the_last_moment_reads_the_last_knot_and_none_beyond() -> None:
    model, some = still(disturb(TNeRF(**SMALL, warp_octaves=0))), rays()
    last, near, beyond = (asked(model, some, time) for time in (1.0, 1 - 1e-6, 1.5))
    for one, other, clamped in zip(last, near, beyond, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
        torch.testing.assert_close(one, clamped)
    with torch.no_grad():
        for grids in model.radiance.network.trunk.modulations:
            grids.gamma.values[:, :-1] = 0.0
            grids.beta.values[:, :-1] = 0.0
    for one, other in zip(last, asked(model, some, 1.0), strict=True):
        assert torch.equal(one, other)


def test_every_ray_has_its_own_moment() -> None:
    times = torch.linspace(0, 1, 6)
    model, some = disturb(TNeRF(**SMALL)), rays(6, times)
    together = model.render_rays(some)[-1]
    for number in range(6):
        alone = model.render_rays(some[number : number + 1])[-1]
        torch.testing.assert_close(alone.rgb[0], together.rgb[number], rtol=0, atol=1e-6)
    frozen = model.render_rays(rays(6, torch.zeros(6)))[-1]
    assert not torch.allclose(frozen.rgb[1:], together.rgb[1:], atol=1e-4)
    torch.testing.assert_close(frozen.rgb[0], together.rgb[0])


def test_gradients_reach_every_tensor() -> None:
    model = disturb(TNeRF(**SMALL))
    model.render_rays(rays(9, torch.linspace(0, 1, 9)))[-1].rgb.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad != 0).any() and parameter.grad.isfinite().all(), name


def test_rays_need_times_that_are_numbers() -> None:
    with pytest.raises(InputError, match="without times"):
        TNeRF(**SMALL).render_rays(rays())
    with pytest.raises(InputError, match="NaN"):
        TNeRF(**SMALL).render_rays(rays(2, torch.tensor([0.5, float("nan")])))


def test_one_knot_in_time_is_refused() -> None:
    with pytest.raises(InputError, match="time_knots 1: give at least 2"):
        TNeRF(**SMALL, time_knots=1)
