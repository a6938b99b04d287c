"""Builders of fields of videos: names in both directions, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from errors import InputError
from fields import official
from fields.nvp import NVP

PLANE = {"otype": "DenseGrid", "n_levels": 2, "base_resolution": 4, "per_level_scale": 1.5, "n_features_per_level": 2}
SPARSE = {"otype": "SparseGrid", "t_resolution": 3, "x_resolution": 4, "y_resolution": 5, "n_features_per_level": 2}
NVP_CONFIG = {
    "frames": 3,
    "height": 6,
    "width": 7,
    **{f"2d_encoding_{name}": PLANE for name in ("xy", "xt", "yt")},
    "3d_encoding": SPARSE,
    "network": {"n_neurons": 8, "n_hidden_layers": 3},
}
NERV_CONFIG = {"embed": "1.25_4", "stem_dim_num": "8_1", "fc_hw_dim": "2_3_4", "strides": [2], "lower_width": 2}
SIREN_CONFIG = {"type": "sine", "mode": "mlp", "hidden_features": 6, "num_hidden_layers": 1}
FFN_CONFIG = {"in_dims": 3, "mapping_size": 4, "layers": 2, "hidden": 5}


def nvp_tensors() -> dict[str, Tensor]:
    return official.nvp_state(NVP((3, 6, 7), 2, 4, 1.5, 2, (3, 4, 5), width=8))


def siren_tensors() -> dict[str, Tensor]:
    layers = {0: nn.Linear(2, 6), 1: nn.Linear(6, 6), 2: nn.Linear(6, 1)}
    return {f"net.net.{k}.0.{name}": value for k, one in layers.items() for name, value in one.state_dict().items()}


def ffn_tensors() -> dict[str, Tensor]:
    shapes = {"B": (4, 3), "w0": (5, 8), "b0": (5,), "w1": (3, 5), "b1": (3,)}
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def nerv_tensors() -> dict[str, Tensor]:
    layers = {
        "stem.0": nn.Linear(8, 8),
        "stem.2": nn.Linear(8, 24),
        "layers.0.conv.conv": nn.Conv2d(4, 16, 3),
        "head_layers.0": nn.Conv2d(4, 3, 1),
    }
    return {f"{name}.{kind}": value for name, one in layers.items() for kind, value in one.state_dict().items()}


BUILDERS = {
    "nvp": (official.nvp, NVP_CONFIG, nvp_tensors),
    "siren": (official.siren, SIREN_CONFIG, siren_tensors),
    "ffn": (official.ffn, FFN_CONFIG, ffn_tensors),
    "nerv": (official.nerv, NERV_CONFIG, nerv_tensors),
}


def test_an_nvp_goes_out_and_comes_back() -> None:
    state = nvp_tensors()
    field = official.nvp(NVP_CONFIG, state)
    again = official.nvp_state(field)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], state[name]) for name in state)
    assert {official.nvp_name(name) for name in state} == set(field.state_dict())


def test_planes_keep_their_own_settings() -> None:
    config = NVP_CONFIG | {"2d_encoding_xt": PLANE | {"n_levels": 1}}
    state = official.nvp_state(NVP((3, 6, 7), (2, 2, 1), 4, 1.5, 2, (3, 4, 5), width=8))
    field = official.nvp(config, state)
    assert {name: len(plane.levels) for name, plane in field.planes.items()} == {"yx": 2, "tx": 2, "ty": 1}


@pytest.mark.parametrize("name", BUILDERS)
def test_networks_are_ready_to_be_used(name: str) -> None:
    build, config, tensors = BUILDERS[name]
    model = build(config, tensors())
    assert not model.training
    points = {"nvp": torch.rand(4, 3), "siren": torch.rand(4, 2), "ffn": torch.rand(4, 3), "nerv": torch.rand(4)}[name]
    out = model(points)[-1] if name == "nerv" else model(points)
    assert out.isfinite().all()


@pytest.mark.parametrize("name", BUILDERS)
def test_tensors_of_another_model_are_refused(name: str) -> None:
    build, config, tensors = BUILDERS[name]
    state = tensors()
    first = next(iter(state))
    for wrong in (
        {key: value for key, value in state.items() if key != first},
        state | {"other": torch.zeros(3)},
        state | {first: torch.zeros(3, 3, 3)},
    ):
        with pytest.raises(InputError, match="weights"):
            build(config, wrong)


def test_two_names_of_one_tensor_must_agree() -> None:
    state = nvp_tensors()
    state["net.layers.0.bias"] = state["net.layers.0.bias"] + 1
    with pytest.raises(InputError, match="differs"):
        official.nvp(NVP_CONFIG, state)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("nvp", {"frames": "many"}),
        ("nvp", {"network": 3}),
        ("nvp", {"2d_encoding_xy": PLANE | {"otype": "HashGrid"}}),
        ("nvp", {"2d_encoding_xy": PLANE | {"n_levels": 10**9}}),
        ("nvp", {"2d_encoding_xy": PLANE | {"per_level_scale": "fast"}}),
        ("siren", {"type": "cosine"}),
        ("siren", {"num_hidden_layers": 10**9}),
        ("ffn", {"final": "tanh"}),
        ("ffn", {"layers": None}),
        ("nerv", {"embed": "1.25"}),
        ("nerv", {"strides": 2}),
        ("nerv", {"num_blocks": 2}),
        ("nerv", {"act": "snake"}),
        ("nerv", {"stem_dim_num": "8_1000000000"}),
    ],
)
def test_settings_that_are_not_known_are_refused(name: str, change: dict) -> None:
    build: Callable
    build, config, tensors = BUILDERS[name]
    with pytest.raises(InputError):
        build(config | change, tensors())


@pytest.mark.parametrize("name", BUILDERS)
def test_settings_that_are_missing_are_named(name: str) -> None:
    build, config, tensors = BUILDERS[name]
    for key in ("network", "hidden_features", "mapping_size", "embed"):
        if key in config:
            with pytest.raises(InputError, match=key):
                build({other: value for other, value in config.items() if other != key}, tensors())
