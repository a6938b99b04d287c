"""Our weights go out as a state file of the original and come back bit for bit; anything else is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from errors import InputError
from stylegan_v.checkpoints import build
from stylegan_v.official.conversion import convert, is_original, read_original
from stylegan_v.official.networks import NETWORK_SETTINGS, generator_node, settings_of
from stylegan_v.official.state_file import is_state, read_state, state_path, write_state
from stylegan_v.pretrained import read_model
from stylegan_v.weights import Weights, write_weights
from tests.stylegan_v.official.converted import SMALL, equal, official_states, our_weights, sample


def write_bare(
    path: Path, networks: Mapping[str, Mapping[str, Tensor]], metadata: dict[str, str] | None = None
) -> Path:
    """A state file as another program would write it."""
    tensors = {f"{net}.{name}": tensor.clone() for net, state in networks.items() for name, tensor in state.items()}
    save_file(tensors, path, metadata)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"c_dim": 4, "noise_inputs": True, "uniform_spacing": True},
        {"num_frames": 1, "motion_z_distance": 3, "g_conv_clamp": None, "condition_ignored": True},
        {"time_conditioning": "sum_w", "w_dim": 8, "mbstd_group_size": 1, "min_period": 7.5},
        {"time_conditioning": "concat_w", "motion_input": False},
    ],
)
def test_weights_and_settings_of_ours_go_out_and_come_back(tmp_path: Path, changes: dict[str, Any]) -> None:
    ours, path = our_weights(**changes), tmp_path / "state.safetensors"
    write_state(path, ours)
    weights, notes = convert(read_state(path))
    assert all(
        {name: tensor.shape for name, tensor in weights.networks[net].items()}
        == {name: tensor.shape for name, tensor in state.items()}
        and all(torch.equal(weights.networks[net][name], tensor) for name, tensor in state.items())
        for net, state in ours.networks.items()
    )
    settings = {**SMALL, **changes}
    assert {name: notes.settings[name].value for name in NETWORK_SETTINGS} == settings
    assert notes.assumed(NETWORK_SETTINGS) == []
    assert weights.facts == ours.facts | {"num_clips": 1200 // settings["num_frames"]}

    again = tmp_path / "again.safetensors"
    write_state(again, weights)
    assert again.read_bytes() == path.read_bytes()


def test_state_of_a_snapshot_goes_through_ours_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    write_state(path, convert(sample())[0])
    found = read_state(path)
    assert all(equal(found.networks[net], state) for net, state in sample().networks.items())
    assert found.parameters == sample().parameters
    assert found.stats == {"cur_nimg": 5004, "batch_idx": 26}
    assert len(found.sha256) == 64


def test_tensors_alone_are_enough_and_the_rest_is_said_to_be_assumed(tmp_path: Path) -> None:
    generator, discriminator = official_states()
    path = write_bare(
        tmp_path / "bare.safetensors",
        {"G": generator, "D": discriminator, "G_ema": generator, "x": {"y": torch.ones(1)}},
    )
    weights, notes = convert(read_state(path))
    assert {setting.source for setting in notes.settings.values()} == {"tensors", "assumed"}
    assert [text.split()[0] for text in notes.assumed(NETWORK_SETTINGS)] == [
        "g_conv_clamp",
        "motion_z_distance",
        "d_conv_clamp",
        "mbstd_group_size",
        "condition_ignored",
    ]
    assert weights.facts == {}
    assert "tensors of x: not needed" in notes.dropped
    network = build(weights.model["init_args"]["generator"])
    network.load_state_dict(weights.networks["generator"])
    with torch.no_grad():
        assert network(torch.randn(1, 6), torch.zeros(1, 2)).shape == (1, 2, 3, 32, 32)


def test_filters_may_be_left_out_of_a_state(tmp_path: Path) -> None:
    states = {net: {n: t for n, t in s.items() if "filter" not in n} for net, s in sample().networks.items()}
    weights, _ = convert(read_state(write_bare(tmp_path / "bare.safetensors", states)))
    assert torch.equal(weights.networks["generator_ema"]["mapping.w_avg"], states["G_ema"]["mapping.w_avg"])


def test_every_reader_of_models_takes_a_state_file_that_was_written_here(tmp_path: Path) -> None:
    path, foreign, ours = (tmp_path / f"{name}.safetensors" for name in ("state", "foreign", "model"))
    write_state(path, our_weights())
    write_bare(foreign, {"G": {"a": torch.zeros(1)}})
    write_weights(ours, {"generator": {"a": torch.zeros(1)}}, {})
    assert [is_state(file) for file in (path, foreign, ours)] == [True, False, False]
    assert [is_original(file) for file in (path, ours, tmp_path / "network-snapshot-000001.pkl")] == [True, False, True]
    assert read_original(path).stats == {"cur_nimg": 1200, "batch_idx": 25}
    assert read_model(path, ["discriminator"]).networks.keys() == {"discriminator"}


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"motion": {"class_path": "stylegan_v.networks.LSTMMotion"}}, "LSTMMotion: the original has only"),
        ({"resolution": [32, 48]}, "only squares"),
    ],
)
def test_networks_that_the_original_cannot_hold_are_refused_in_one_line(
    tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    weights, path = our_weights(Path("run/last.ckpt")), tmp_path / "state.safetensors"
    weights.model["init_args"]["generator"]["init_args"] |= change
    with pytest.raises(InputError, match=f"run/last.ckpt: the original cannot hold these networks: .*{complaint}"):
        write_state(path, weights)
    assert list(tmp_path.iterdir()) == []


def test_weights_without_all_networks_are_refused(tmp_path: Path) -> None:
    weights = our_weights()
    alone = Weights(weights.path, "generator", {"generator_ema": weights.networks["generator_ema"]}, weights.model, {})
    with pytest.raises(InputError, match="there is no generator, discriminator: give a run's checkpoint"):
        write_state(tmp_path / "state.safetensors", alone)


@pytest.mark.parametrize(
    "content, complaint",
    [
        (b"", "not a file of weights"),
        (b"\xff" * 64, "not a file of weights"),
        (b"\x80\x04K\x01.", "not a file of weights"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "state.safetensors"
    path.write_bytes(content)
    assert not is_state(path)
    with pytest.raises(InputError, match=f"{path}: {complaint}"):
        read_state(path)


def test_other_files_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path, states = tmp_path / "some.safetensors", dict(sample().networks)
    with pytest.raises(InputError, match="no such file"):
        read_state(path)
    write_weights(path, {"generator": {"a": torch.zeros(1)}}, {})
    with pytest.raises(InputError, match=r"weights of ours: train\.py and generate\.py take them as they are"):
        read_state(path)
    del states["D"]
    with pytest.raises(InputError, match="holds no D: a state file has the networks G, D, G_ema"):
        read_state(write_bare(path, states))


@pytest.mark.parametrize("settings", ["{", "[" * 100_000, "[]", '{"config": 3, "G": [], "stats": {"cur_nimg": -1}}'])
def test_hostile_settings_in_metadata_are_refused_or_none(tmp_path: Path, settings: str) -> None:
    metadata = {"format": "stylegan_v_official_state", "settings": settings}
    path = write_bare(tmp_path / "state.safetensors", sample().networks, metadata)
    if settings in ("{", "[" * 100_000):
        with pytest.raises(InputError, match="metadata are damaged"):
            read_state(path)
    else:
        found = read_state(path)
        assert (found.config, found.init_kwargs, found.stats) == (None, {"G": {}, "D": {}}, {})


def test_settings_in_metadata_cannot_contradict_the_tensors(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    write_state(path, our_weights())
    with safe_open(path, framework="pt") as file:
        settings = json.loads(file.metadata()["settings"])
    assert settings["config"]["model"]["generator"]["motion"]["motion_z_distance"] == 8
    snapshot = read_state(path)
    lying = replace(snapshot, sampling={**snapshot.sampling, "max_num_frames": 99})
    with pytest.raises(InputError, match="max_num_frames: 32 by the tensors, 99 by the file's own settings"):
        convert(lying)


def test_nodes_of_an_exported_model_may_leave_out_defaults() -> None:
    weights = our_weights()
    nodes = weights.model["init_args"]
    del nodes["generator"]["init_args"]["time_conditioning"], nodes["generator"]["init_args"]["conv_clamp"]
    assert settings_of(nodes["generator"], nodes["discriminator"]) == SMALL
    assert generator_node(SMALL)["init_args"]["conv_clamp"] == 256.0


def test_a_state_file_goes_where_nothing_else_is(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    assert state_path(path) == path
    write_state(path, our_weights())
    assert state_path(path) == path  # over an earlier one
    other = write_bare(tmp_path / "other.safetensors", {"G": {"a": torch.zeros(1)}})
    for wrong, complaint in (
        (tmp_path / "state.ckpt", r"a name that ends in \.safetensors"),
        (other, "is there already, and no state file"),
        (tmp_path / "gone" / "state.safetensors", "gone: no such folder"),
    ):
        with pytest.raises(InputError, match=complaint):
            state_path(wrong)
