from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from errors import InputError
from stylegan_v.inspect.contents import Contents
from stylegan_v.inspect.opening import open_contents
from stylegan_v.inspect.report import describe
from stylegan_v.inspect.text import as_text
from stylegan_v.official.snapshot import Snapshot
from tests.stylegan_v.inspect.files import SNAPSHOT


@pytest.fixture(scope="module")
def contents(snapshot: Snapshot) -> Contents:
    return open_contents(SNAPSHOT)


def test_tensors_of_a_snapshot_are_the_recorded_ones(contents: Contents) -> None:
    with np.load(SNAPSHOT.with_name("official_style_small_expected.npz")) as recorded:
        prefixes = {"G": "state/G/", "D": "state/D/", "G_ema": "state/G_ema/"}
        for network, prefix in prefixes.items():
            expected = {name.removeprefix(prefix): recorded[name] for name in recorded if name.startswith(prefix)}
            assert contents.tensors[network].keys() == expected.keys() and expected
            assert all(np.array_equal(contents.tensors[network][name], value) for name, value in expected.items())


def test_counters_and_optimizers_of_a_snapshot(contents: Contents, snapshot: Snapshot) -> None:
    report = describe(contents)
    assert report["file"]["kind"] == "snapshot" and report["file"]["sha256"] == snapshot.sha256
    counters = report["counters"]
    assert (counters["updates"], counters["kimg"], counters["kclips"], counters["fps"]) == (26, 5.004, 1.668, 30)
    found = {one["network"]: one for one in report["optimizers"]}
    assert (found["G"]["settings"]["lr"], found["G"]["num_parameters"], found["G"]["steps"]) == (0.002, 56, 1)
    assert found["D"]["settings"]["betas"] == [0.0, 0.99 ** (16 / 17)]
    assert found["D"]["class_path"] == "torch.optim.Adam" and found["D"]["not_finite"] == 0
    assert [report["networks"][name]["parameters"] for name in ("G", "G_ema", "D")] == [17762, 17762, 35350]
    assert list(report["networks"]) == ["G", "G_ema", "D"]
    assert report["health"] == []
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_settings_say_where_they_come_from(contents: Contents) -> None:
    report = describe(contents)
    origins = report["origins"]
    assert origins["w_dim"] == {"value": 20, "source": "tensors"}
    assert origins["motion_z_distance"] == {"value": 16, "source": "embedded"}
    assert origins["r1_gamma"] == {"value": "0.0002 H W / batch size", "source": "embedded"}
    assert origins["g_conv_clamp"] == {"value": None, "source": "embedded"}
    assert report["settings"]["generator"]["motion"]["distance"] == 16
    assert report["settings"]["discriminator"]["conditioning"] == "ProjectionConditioning"
    assert report["settings"]["training"]["r1_gamma"] == pytest.approx(0.0002 * 32 * 32 / 64)
    assert "vis: not needed" in report["notes"]


def test_what_the_file_says_of_itself_is_shown(contents: Contents, snapshot: Snapshot) -> None:
    report = describe(contents)
    embedded = report["embedded"]
    assert embedded["stats"] == snapshot.stats and embedded["augment"]["xint_max"] == 0.125
    assert embedded["config"]["model"]["generator"]["time_enc"]["max_period_len"] == 1024
    assert embedded["sampling"]["max_dist"] == 32 and embedded["training_set"]["xflip"] is True
    text = as_text(report, "none")
    for words in (
        "stats                  cur_nimg 5004, cur_tick 1, batch_idx 26",
        "generator.time_enc.max_period_len 1024",
        "embedded               time_conditioning concat_const",
        "frame_sampler RandomSpans",
        "only with --json       config.env, config.sbatch_args, config.env_args",
        "G.synthesis_kwargs.channel_base 655",
        "vis: not needed",
    ):
        assert words in text
    assert "python_bin" not in text  # of the machine that it ran on
    for line in text.partition("where these come from")[2].partition("the file itself says")[0].splitlines():
        assert len(line) <= 100


def test_state_file_is_known_by_its_names(state_file: Path, contents: Contents) -> None:
    found = open_contents(state_file)
    assert found.kind == "official" and found.facts["updates"] == 26
    assert found.weights.model["init_args"]["generator"] == contents.weights.model["init_args"]["generator"]
    for network, tensors in contents.tensors.items():
        assert found.parameters[network] == contents.parameters[network]
        assert all(torch.equal(found.tensors[network][name], tensor) for name, tensor in tensors.items())


def test_state_file_of_tensors_alone_says_what_is_assumed(state_file: Path, tmp_path: Path) -> None:
    save_file(load_file(state_file), tmp_path / "bare.safetensors")
    found = open_contents(tmp_path / "bare.safetensors")
    assert found.kind == "official" and found.weights is not None
    assert found.origins["motion_z_distance"].source == "assumed"
    assert any(note.startswith("assumed, as the file does not say: motion_z_distance") for note in found.notes)
    assert found.origins["batch_size"].source == "assumed"  # of training: told there, and not again among the notes
    assert not any("batch_size" in note for note in found.notes)


def test_networks_that_cannot_be_converted_are_still_shown(state_file: Path, tmp_path: Path) -> None:
    tensors = load_file(state_file)
    tensors["G.synthesis.extra.weight"] = torch.zeros(2)
    tensors["D.b4.fc.bias"][0] = torch.nan
    save_file(tensors, tmp_path / "odd.safetensors")
    found = open_contents(tmp_path / "odd.safetensors")
    assert found.weights is None and found.origins == {}
    assert "networks cannot be built" in found.notes[-1] and "extra" in found.notes[-1]
    report = describe(found)
    marked = {mark["where"] for mark in report["health"]}
    assert {"G.synthesis.extra.weight", "D.b4.fc.bias"} <= marked
    assert report["settings"] == {}


def test_damaged_snapshots_are_refused(snapshot: Snapshot, tmp_path: Path) -> None:
    whole = SNAPSHOT.read_bytes()
    for name, content in (("half.pkl", whole[: len(whole) // 2]), ("empty.pkl", b""), ("text.pkl", b"hello")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            open_contents(tmp_path / name)


def test_average_that_never_moved_is_marked(state_file: Path, tmp_path: Path) -> None:
    tensors = load_file(state_file)
    same = {name.replace("G.", "G_ema.", 1): t.clone() for name, t in tensors.items() if name.startswith("G.")}
    save_file(tensors | same, tmp_path / "same.safetensors")
    assert [mark["where"] for mark in describe(open_contents(tmp_path / "same.safetensors"))["health"]] == [
        "averaged generator"
    ]
