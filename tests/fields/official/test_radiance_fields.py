"""Builders of radiance fields: names in both directions, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from errors import InputError
from fields import official
from fields.radiance.mipnerf import MipNeRF
from fields.radiance.nerf import NeRF
from fields.radiance.tnerf import TNeRF

SIZES = {"width": 6, "depth": 3, "skip": 2, "colour_width": 5, "view_octaves": 2}
CONFIG = {"num_samples": 4, "net_width": 6, "net_depth": 3, "skip_layer": 2, "net_width_condition": 5}
MIPNERF_CONFIG = {**CONFIG, "num_levels": 2, "max_deg_point": 3, "deg_view": 2}
TNERF_CONFIG = {**CONFIG, "warp_depth": 3, "warp_width": 4}


def mipnerf_field(knots: tuple[int, int] | None = (5, 3)) -> MipNeRF:
    return MipNeRF((4, 4), 3, view_knots=knots, elevation="official", **SIZES)


def tnerf_field(knots: int | None = 4) -> TNeRF:
    return TNeRF((4,), 3, time_knots=knots, warp_octaves=2, warp_width=4, warp_depth=3, **SIZES)


def nerf_field() -> NeRF:
    return NeRF((4,), 3, view_knots=None, **SIZES)


KINDS: dict[str, tuple[Callable, dict, Callable, nn.Module]] = {
    "mipnerf": (official.mipnerf, MIPNERF_CONFIG, official.mipnerf_state, mipnerf_field()),
    "plain mipnerf": (official.mipnerf, MIPNERF_CONFIG, official.mipnerf_state, mipnerf_field(None)),
    "nerf": (official.nerf, CONFIG, official.nerf_state, nerf_field()),
    "tnerf": (official.tnerf, TNERF_CONFIG, official.tnerf_state, tnerf_field()),
    "plain tnerf": (official.tnerf, TNERF_CONFIG, official.tnerf_state, tnerf_field(None)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_names_and_shapes_in_both_directions(kind: str) -> None:
    builder, config, state_of, field = KINDS[kind]
    with torch.no_grad():
        for parameter in field.parameters():
            parameter.normal_()
    made = builder(config, state_of(field))
    assert type(made) is type(field) and made.state_dict().keys() == field.state_dict().keys()
    assert all(torch.equal(value, field.state_dict()[name]) for name, value in made.state_dict().items())
    assert made.num_samples == field.num_samples and not made.training
    again = state_of(made)
    assert all(torch.equal(value, again[name]) for name, value in state_of(field).items())


def test_plain_mipnerfs_name_their_layers_without_bits() -> None:
    field = mipnerf_field(None)
    state = {name.replace("Dense_Q_", "Dense_"): value for name, value in official.mipnerf_state(field).items()}
    made = official.mipnerf(MIPNERF_CONFIG, state)
    assert torch.equal(made.network.rgb.weight, field.network.rgb.weight)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_such_model_is_refused(kind: str) -> None:
    builder, config, state_of, field = KINDS[kind]
    state = state_of(field)
    name = next(name for name in state if "scales" not in name)
    changes: list[tuple[dict, str]] = [
        ({other: value for other, value in state.items() if other != name}, "missing"),
        (state | {"further.weight": torch.zeros(2)}, "none of this name"),
        (state | {name: torch.zeros(7, 7, 7)}, "the settings ask"),
    ]
    for changed, message in changes:
        with pytest.raises(InputError, match=message):
            builder(config, changed)
    for key, value in (("net_width", 7), ("net_depth", 10**9), ("net_depth", True), ("skip_layer", "4")):
        with pytest.raises(InputError):
            builder({**config, key: value}, state)


@pytest.mark.parametrize("config", [{"ray_shape": "pyramid"}, {"w_bit": 1}, {"num_levels": 10**6}])
def test_settings_of_mipnerf_are_checked(config: dict) -> None:
    with pytest.raises(InputError):
        official.mipnerf({**MIPNERF_CONFIG, **config}, official.mipnerf_state(mipnerf_field()))


@pytest.mark.parametrize(
    "name, value",
    [
        ("posi_encoder.scales", torch.tensor([1, 3])),
        ("time_encoder.scales", torch.tensor([1])),
        ("nerf.view_encoder.scales", torch.zeros(2, 2)),
        ("nerf.mlp.base.affines.0", torch.zeros(1, 2, 4, 3)),
    ],
)
def test_encoders_and_grids_of_other_kinds_are_refused(name: str, value: Tensor) -> None:
    with pytest.raises(InputError, match=name.rpartition(".")[0].rpartition(".")[2] or name):
        official.tnerf(TNERF_CONFIG, official.tnerf_state(tnerf_field()) | {name: value})
