"""Settings of training come from what the snapshot embeds, and the original's own where it says nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from stylegan_v.augment import AugmentPipe
from stylegan_v.official.network_settings import Setting
from stylegan_v.official.snapshot import Snapshot
from stylegan_v.official.training_settings import augment_node, training_settings
from tests.stylegan_v.official.converted import changed, sample, with_config

NETWORKS = {"resolution": 32, "num_frames": 3, "max_num_frames": 64, "uniform_spacing": False}
SILENT = {"config": None, "init_kwargs": {}, "sampling": {}, "augment": None, "optimizers": {}, "training_set": {}}


def settings(snapshot: Snapshot, **flags: Any) -> dict[str, Setting]:
    found, remarks = training_settings(snapshot, NETWORKS, flags)
    assert remarks == []
    return found


def test_settings_of_the_recorded_snapshot_are_its_own() -> None:
    found = settings(sample())
    assert {name for name, setting in found.items() if setting.source != "embedded"} == set()
    sampler = {"num_frames": 3, "max_num_frames": 64, "spans": [2**i for i in range(12)], "max_distance": 32}
    assert {name: setting.value for name, setting in found.items()} == {
        **{"batch_size": 64, "total_kimg": 25000, "flip": True, "freeze_d": 0},
        **{"g_lr": 0.0025, "d_lr": 0.0025, "betas": [0.0, 0.99], "eps": 1e-8},  # before the lazy correction
        **{"r1_gamma": None, "ema_kclips": None, "ema_rampup": None, "pl_weight": 0.0, "style_mixing_prob": 0.0},
        **{"augment": {"class_path": "stylegan_v.augment.AugmentPipe", "init_args": {"preset": "bgc"}}},
        **{"augment_p": 0.0, "ada_target": 0.6, "ada_kclips": 100},
        "frame_sampler": {"class_path": "datasets.frame_sampling.RandomSpans", "init_args": sampler},
        **{"fps": 30.0, "data": "data/ffs_32_unstable.zip", "precision": "32-true"},
    }


def test_a_silent_file_is_taken_to_be_trained_as_the_original_ships_it() -> None:
    found = settings(changed(**SILENT))
    assert {setting.source for setting in found.values()} == {"assumed"}
    value = {name: setting.value for name, setting in found.items()}
    assert (value["g_lr"], value["d_lr"], value["batch_size"], value["fps"]) == (0.0025, 0.0025, 64, 25.0)
    assert (value["augment_p"], value["ada_target"], value["data"]) == (0.0, 0.6, "data/videos")
    assert value["precision"] == "bf16-mixed"


@pytest.mark.parametrize(
    "values, expected",
    [
        ({"training__resume": "latest"}, {"ada_kclips": 500.0, "ema_rampup": 0.05}),
        ({"training__cfg": "paper256"}, {"r1_gamma": 1.0, "ema_kclips": None, "total_kimg": 25000}),
        ({"training__cfg": "stylegan2", "training__batch_size": None}, {"r1_gamma": 10.0, "batch_size": 32}),
        ({"training__batch_size": 16}, {"r1_gamma": None, "ema_kclips": None, "batch_size": 16}),
        ({"model__loss_kwargs__r1_gamma": 2}, {"r1_gamma": 2.0}),
        ({"model__loss_kwargs__pl_weight": 2.0}, {"pl_weight": 2.0}),
        ({"training__mirror": False, "training__freezed": 3}, {"flip": False, "freeze_d": 3}),
        ({"training__kimg": 5000}, {"total_kimg": 5000}),
        ({"dataset__fps": "${nowhere}"}, {"fps": 30.0}),  # that of the sampling
        ({"training__aug": "fixed", "training__p": 0.3, "training__target": None}, {"ada_target": None}),
    ],
)
def test_the_configuration_of_the_run_decides(values: dict[str, Any], expected: dict[str, Any]) -> None:
    found = settings(with_config(**values))
    assert {name: found[name] for name in expected} == {n: Setting(v, "embedded") for n, v in expected.items()}


def test_without_stored_optimizers_the_preset_tells_the_learning_rates() -> None:
    found = settings(changed(optimizers={}, config=with_config(training__cfg="stylegan2").config))
    assert found["g_lr"] == found["d_lr"] == Setting(0.002, "embedded")
    assert found["betas"] == Setting([0, 0.99], "assumed")


@pytest.mark.parametrize(
    "pipe, node",
    [
        (None, None),
        ({"p": 0.2, "xflip": 1, "rotate90": 1, "xint": 1}, {"preset": "blit"}),
        (
            {"p": 0.2, "xflip": 1.0, "xint_max": 0.5, "Hz_geom": 3.0},
            {"preset": "none", "overrides": {"xflip": 1.0, "xint_max": 0.5}},
        ),
    ],
)
def test_augmentation_is_a_preset_or_its_members(pipe: dict[str, Any] | None, node: dict[str, Any] | None) -> None:
    snapshot = with_config(training__aug="noaug", training__target=None, training__augpipe=None)
    found = settings(changed(augment=pipe, config=snapshot.config))
    if node is None:
        assert found["augment"].value is None
    else:
        assert found["augment"].value == {"class_path": "stylegan_v.augment.AugmentPipe", "init_args": node}
        assert found["augment_p"] == Setting(0.2, "embedded")
        clip = torch.rand(2, 3, 3, 16, 16)
        assert AugmentPipe(**node)(clip, 1.0).shape == clip.shape


def test_every_member_of_a_pipe_arrives() -> None:
    members = {"scale": 0.5, "imgfilter": 1.0, "imgfilter_bands": [1, 0, 1, 1], "noise_std": 0.2}
    pipe = AugmentPipe(**augment_node(members)["init_args"])
    assert {name: getattr(pipe.settings, name) for name in members} == {**members, "imgfilter_bands": (1, 0, 1, 1)}


@pytest.mark.parametrize("p, kept", [(1.4, 1.0), (-0.1, 0.0), (float("inf"), 0.0)])
def test_probability_out_of_bounds_is_brought_back_with_a_remark(p: float, kept: float) -> None:
    found, remarks = training_settings(changed(augment={"p": p, "xflip": 1.0}), NETWORKS, {})
    assert found["augment_p"].value == kept
    assert len(remarks) == 1
    assert "augmentation probability" in remarks[0]


@pytest.mark.parametrize(
    "path, name",
    [
        ("/home/somebody/data/sky_timelapse_256.zip", "data/sky_timelapse_256.zip"),
        ("C:\\data\\jelly.zip", "data/jelly.zip"),
        ("data/videos/", "data/videos"),
        ("..", "data/videos"),
        ("data/${dataset.name}.zip", "data/videos"),
        (7, "data/videos"),
    ],
)
def test_data_is_named_without_the_place_on_somebodys_machine(path: Any, name: str) -> None:
    found = settings(changed(training_set={"path": path}))
    assert found["data"].value == name
    assert settings(changed(training_set={"path": path}), data="/mine", fps=12.0)["data"] == Setting("/mine", "flag")


def test_frame_sampler_follows_the_networks_and_the_sampling() -> None:
    told = {"type": "uniform", "dists_between_frames": [1, 3], "max_dist_between_frames": 12, "total_dists": None}
    networks = {**NETWORKS, "num_frames": 4, "uniform_spacing": True}
    found, _ = training_settings(changed(sampling=told), networks, {})
    arguments = {"num_frames": 4, "max_num_frames": 64, "spacings": [1, 3], "max_distance": 12}
    expected = {"class_path": "datasets.frame_sampling.UniformSpacing", "init_args": arguments}
    assert found["frame_sampler"] == Setting(expected, "embedded")

    single = {"type": "random", "total_dists": None, "max_dist": 0}
    found, _ = training_settings(changed(sampling=single), {**NETWORKS, "num_frames": 1}, {})
    assert found["frame_sampler"].value["init_args"]["spans"] is None
    assert found["frame_sampler"].value["init_args"]["max_distance"] == 0


def test_half_precision_of_the_original_becomes_autocast() -> None:
    kwargs = {"G": {"synthesis_kwargs": {"num_fp16_res": 4}}}
    assert settings(changed(init_kwargs=kwargs))["precision"] == Setting("bf16-mixed", "embedded")


@pytest.mark.parametrize(
    "snapshot, remark",
    [
        (with_config(training__cfg="mine"), "training.cfg=mine: no such preset"),
        (with_config(training__batch_size=[1]), "training.batch_size"),
        (changed(sampling={"max_dist": "far"}), "sampling: its distances are no numbers"),
    ],
)
def test_what_the_original_would_not_take_is_assumed_with_a_remark(snapshot: Snapshot, remark: str) -> None:
    found, remarks = training_settings(snapshot, NETWORKS, {})
    assert len(remarks) == 1
    assert remark in remarks[0]
    assert "are assumed" in remarks[0]
    assumed = "frame_sampler" if "sampling" in remark else "batch_size"
    assert found[assumed].source == "assumed"
