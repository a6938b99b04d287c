"""Settings become nodes of configs and come back from them; nothing that does not fit is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from errors import InputError
from stylegan_v.checkpoints import build
from stylegan_v.official import build_generator
from stylegan_v.official.conversion import network_settings
from stylegan_v.official.names import to_ours
from stylegan_v.official.networks import (
    NETWORK_SETTINGS,
    check,
    discriminator_node,
    generator_node,
    settings_of,
)
from tests.conformance.recordings import Recording, files

SNAPSHOTS = files("stylegan_v", "d_logits")
DEFAULT_GENERATOR = {"class_path": "stylegan_v.networks.Generator"}
DEFAULT_DISCRIMINATOR = {
    "class_path": "stylegan_v.networks.Discriminator",
    "init_args": {"conditioning": {"class_path": "stylegan_v.networks.ProjectionConditioning"}},
}


def of(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings and averaged generator of the recorded snapshot."""
    data = Recording(path)
    state = data.group("state/G_ema")
    joined = network_settings(state, data.group("state/D"), {}, {})
    return {name: setting.value for name, setting in joined.items()}, state


@pytest.mark.parametrize("path", SNAPSHOTS)
def test_nodes_and_settings_are_the_same_thing(path: Path) -> None:
    settings, _ = of(path)
    settings |= {"motion_z_distance": 24, "mbstd_group_size": 2, "d_conv_clamp": None, "condition_ignored": True}
    settings |= {"time_conditioning": "sum_w", "uniform_spacing": True}
    assert settings_of(generator_node(settings), discriminator_node(settings)) == settings
    assert set(settings) == set(NETWORK_SETTINGS)


def test_settings_of_nodes_without_arguments_are_the_defaults_of_the_classes() -> None:
    settings = settings_of(DEFAULT_GENERATOR, DEFAULT_DISCRIMINATOR)
    assert settings_of(generator_node(settings), discriminator_node(settings)) == settings
    with torch.device("meta"):
        generator, default = build(generator_node(settings)), build(DEFAULT_GENERATOR)
    assert {name: tensor.shape for name, tensor in generator.state_dict().items()} == {
        name: tensor.shape for name, tensor in default.state_dict().items()
    }
    assert settings["motion_z_distance"] == default.synthesis.motion.distance


@pytest.mark.parametrize(
    "generator, discriminator, complaint",
    [
        ({"resolution": [144, 256]}, {}, "only squares with a side that is a power of two"),
        ({"resolution": 48}, {}, "only squares with a side that is a power of two"),
        ({"motion": {"class_path": "stylegan_v.networks.LSTMMotion"}}, {}, "LSTMMotion: the original has only Mot"),
        ({"motion": {"class_path": "stylegan_v.networks.Motionless"}}, {}, "Motionless: the original has only"),
        ({}, {"conditioning": {"class_path": "stylegan_v.networks.HypernetworkConditioning"}}, "only Projection"),
        ({}, {"conditioning": None}, "no ProjectionConditioning: the original has only"),
        ({"resolution": 128}, {}, "resolution: 128 and 256: the original has one"),
        ({"hypothetical": 3}, {}, "hypothetical: Generator has it, the original's counterpart has nothing like it"),
        (
            {},
            {"conditioning": {"class_path": "stylegan_v.networks.ProjectionConditioning", "init_args": {"dim": 64}}},
            "condition is as wide as its last layers, 512",
        ),
    ],
)
def test_networks_that_the_original_does_not_have_are_refused(
    generator: dict, discriminator: dict, complaint: str
) -> None:
    nodes = [
        {**default, "init_args": {**default.get("init_args", {}), **arguments}}
        for default, arguments in ((DEFAULT_GENERATOR, generator), (DEFAULT_DISCRIMINATOR, discriminator))
    ]
    with pytest.raises(InputError, match=complaint):
        settings_of(*nodes)


@pytest.mark.parametrize("path", SNAPSHOTS)
def test_missing_unknown_and_misshapen_tensors_are_named(path: Path) -> None:
    settings, state = of(path)
    weight = "synthesis.b8.conv0.weight"
    with pytest.raises(InputError, match=r"blocks\.b8\.convs\.0\.weight: missing"):
        build_generator(settings, {name: tensor for name, tensor in state.items() if name != weight})
    with pytest.raises(InputError, match=r"synthesis\.extra: not a tensor of this network"):
        build_generator(settings, {**state, "synthesis.extra": torch.zeros(1)})
    with pytest.raises(InputError, match=r"blocks\.b64\.torgb\.weight: not in the network"):
        build_generator(settings, {**state, "synthesis.b64.torgb.weight": torch.zeros(1)})
    with pytest.raises(InputError, match=r"blocks\.b8\.convs\.0\.weight: shape"):
        build_generator(settings, {**state, weight: state[weight][:, :, :, :2]})


@pytest.mark.parametrize("path", SNAPSHOTS)
def test_check_counts_parameters(path: Path) -> None:
    settings, state = of(path)
    ours = to_ours(state)
    buffers = ("w_avg", "freqs", "phase_scales")
    expected = sum(tensor.numel() for name, tensor in ours.items() if not name.endswith(buffers))
    assert check(generator_node(settings), ours) == expected
