"""Settings beside the tensors are found at their places, and sources are joined in their order."""

from __future__ import annotations

from typing import Any

import pytest

from errors import InputError
from stylegan_v.official.network_settings import ABSENT, Setting, embedded_settings, find, join, tree_of
from tests.stylegan_v.official.converted import SMALL, sample

TOLD = {"resolution": 32, "min_period": 24.4, "max_num_frames": 32}


def test_settings_of_the_recorded_snapshot_are_found() -> None:
    found = embedded_settings({"config": sample().config, "sampling": sample().sampling, **sample().init_kwargs})
    assert found == {
        **{"resolution": 32, "c_dim": 0, "z_dim": 16, "w_dim": 20, "g_mapping_layers": 2},
        **{"motion_z_dim": 12, "motion_v_dim": 14, "kernel_size": 5, "num_frequencies": 10},
        **{"min_period": 16, "max_period": 1024, "motion_z_distance": 16, "max_num_frames": 64},
        **{"time_conditioning": "concat_const", "noise_inputs": False},
        **{"g_channel_base": 655, "g_channel_max": 12, "g_conv_clamp": None},
        **{"num_frames": 3, "concat_res": 16, "num_frames_div_factor": 2, "uniform_spacing": False},
        **{"condition_ignored": False, "d_mapping_layers": 2},
        **{"d_channel_base": 655, "d_channel_max": 12, "d_conv_clamp": None, "mbstd_group_size": 4},
    }


def test_tree_is_where_settings_are_found() -> None:
    told = {name: value for name, value in SMALL.items() if name not in ("motion_input", "condition_dim")}
    assert embedded_settings(tree_of(told)) == told
    assert embedded_settings(tree_of({**told, "uniform_spacing": True}))["uniform_spacing"] is True
    assert find(tree_of(told), "config.model.generator.motion.motion_z_distance") == 8
    assert find(tree_of(told), "config.model.generator.motion.motion_z_distance.further") is ABSENT


@pytest.mark.parametrize(
    "name, places",
    [
        ("motion_z_distance", {"config": {"model": {"generator": {"motion": {"motion_z_distance": "${gone}"}}}}}),
        ("motion_z_distance", {"config": {"model": {"generator": {"motion": {"motion_z_distance": 0}}}}}),
        ("motion_z_distance", {"config": {"model": {"generator": {"motion": {"motion_z_distance": True}}}}}),
        ("motion_z_distance", {"config": {"model": {"generator": []}}}),
        ("time_conditioning", {"config": {"model": {"generator": {"time_enc": {"cond_type": "concat"}}}}}),
        ("time_conditioning", {"config": {"model": {"generator": {"time_enc": {"cond_type": ["sum_w"]}}}}}),
        ("min_period", {"config": {"model": {"generator": {"time_enc": {"min_period_len": float("nan")}}}}}),
        ("d_conv_clamp", {"D": {"conv_clamp": -1}}),
        ("noise_inputs", {"config": {"model": {"generator": {"use_noise": 1}}}}),
        ("uniform_spacing", {"sampling": {"type": "???"}}),
    ],
)
def test_values_of_a_wrong_kind_count_as_missing(name: str, places: dict[str, Any]) -> None:
    assert name not in embedded_settings(places)


def test_the_next_place_counts_where_the_first_has_nothing() -> None:
    tree = {"G": {"img_resolution": "?"}, "config": {"dataset": {"resolution": 64}, "sampling": {"max_num_frames": 8}}}
    assert embedded_settings(tree) == {"resolution": 64, "max_num_frames": 8}
    assert embedded_settings({**tree, "sampling": {"max_num_frames": 9}})["max_num_frames"] == 9


def test_sources_go_before_each_other() -> None:
    embedded, flags = {"mbstd_group_size": 8, "g_conv_clamp": None, "resolution": 32}, {"mbstd_group_size": 2}
    joined = join(TOLD, embedded, flags)
    assert joined["resolution"] == Setting(32, "tensors")
    assert joined["mbstd_group_size"] == Setting(2, "flag")
    assert joined["g_conv_clamp"] == Setting(None, "embedded")
    assert joined["d_conv_clamp"] == Setting(256.0, "assumed")
    assert joined["motion_z_distance"] == Setting(24, "assumed")  # as far apart as the shortest period
    assert join({**TOLD, "resolution": 16}, {}, {})["concat_res"] == Setting(8, "assumed")


@pytest.mark.parametrize("source", ["embedded", "flags"])
def test_contradictions_name_the_setting_and_both_values(source: str) -> None:
    given = {"embedded": {}, "flags": {}, source: {"max_num_frames": 64}}
    says = {"embedded": "the file's own settings", "flags": "the flag"}[source]
    with pytest.raises(InputError, match=f"max_num_frames: 32 by the tensors, 64 by {says}"):
        join(TOLD, **given)
