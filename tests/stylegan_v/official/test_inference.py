"""Shapes tell the settings that made them, and only those."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from errors import InputError
from stylegan_v.official.inference import tensor_settings
from tests.stylegan_v.official.converted import SMALL, official_states

UNTOLD = {"motion_z_distance", "g_conv_clamp", "d_conv_clamp", "mbstd_group_size", "condition_ignored"}


@pytest.mark.parametrize(
    "changes, untold",
    [
        ({}, set()),
        ({"c_dim": 5}, set()),
        ({"time_conditioning": "concat_w"}, set()),
        ({"time_conditioning": "concat_w", "motion_input": False}, set()),
        ({"time_conditioning": "sum_w", "motion_input": False, "w_dim": 8}, set()),
        ({"time_conditioning": "sum_w", "motion_input": True, "w_dim": 8}, {"time_conditioning"}),
        ({"noise_inputs": True, "g_mapping_layers": 4, "kernel_size": 5}, set()),
        ({"g_channel_base": 96, "d_channel_base": 64, "d_channel_max": 16, "condition_dim": 16}, set()),
        ({"concat_res": 8, "num_frames_div_factor": 4, "num_frames": 4, "uniform_spacing": True}, set()),
        ({"concat_res": 4, "resolution": 16}, set()),
        ({"num_frames": 2}, {"uniform_spacing"}),
        ({"num_frames": 2, "num_frames_div_factor": 1}, {"uniform_spacing"}),
        ({"num_frames": 1}, {"uniform_spacing", "max_num_frames"}),
        ({"num_frames": 1, "c_dim": 3}, {"uniform_spacing", "max_num_frames"}),
        (
            {"num_frames": 1, "num_frames_div_factor": 1},
            {"uniform_spacing", "max_num_frames", "concat_res"},
        ),
        ({"min_period": 7.5, "max_period": 1000}, set()),
        ({"resolution": 64, "d_mapping_layers": 3}, set()),
    ],
)
def test_tensors_tell_all_but_a_few_settings(changes: dict[str, Any], untold: set[str]) -> None:
    told = tensor_settings(*official_states(**changes))
    expected = {name: value for name, value in {**SMALL, **changes}.items() if name not in untold | UNTOLD}
    assert told == pytest.approx(expected)
    assert {name: type(value) for name, value in told.items()} == {name: type(v) for name, v in expected.items()}


def test_hints_decide_between_values_of_the_same_shapes() -> None:
    states = official_states(g_channel_base=135, g_channel_max=8, w_dim=8, num_frames_div_factor=3)
    plain = tensor_settings(*states)
    assert (plain["g_channel_base"], plain["num_frames_div_factor"]) == (128, 4)  # 8 // 4 = 8 // 3 = 2 channels
    hints = {"g_channel_base": 135, "g_channel_max": 8, "num_frames_div_factor": 3, "min_period": 8.00001}
    hinted = tensor_settings(*states, hints)
    assert (hinted["g_channel_base"], hinted["num_frames_div_factor"], hinted["min_period"]) == (135, 3, 8.00001)
    assert "time_conditioning" not in hinted  # two are possible here: nothing of this kind is told
    impossible = {"g_channel_base": 64, "g_channel_max": 8, "min_period": 9, "time_conditioning": "concat_w"}
    told = tensor_settings(*states, impossible)
    assert (told["g_channel_base"], told["min_period"], told["time_conditioning"]) == (128, 8, "concat_const")


@pytest.mark.parametrize(
    "net, change, complaint",
    [
        (0, {"mapping.w_avg": None}, r"mapping\.w_avg: missing"),
        (0, {"mapping.fc0.weight": torch.zeros(3)}, r"mapping\.fc0\.weight: has the shape \[3\]"),
        (0, {"synthesis.motion_encoder.rnn.weight_ih_l0": torch.zeros(1)}, "motion of the MoCoGAN"),
        (0, {"synthesis.motion_encoder.time_encoder.freqs": torch.zeros(1, 4)}, "no positive frequencies"),
        (0, {"synthesis.b4.input.input.const": None}, "constant input is missing"),
        (0, {"synthesis.b16.conv1.weight": torch.zeros(5, 8, 3, 3)}, r"b16: 5 channels do not follow"),
        (0, {"synthesis.b48.conv1.weight": torch.zeros(5, 8, 3, 3)}, r"blocks \[4, 8, 16, 32, 48\]"),
        (0, {"synthesis.b64.conv1.weight": torch.zeros(2, 8, 3, 3)}, "G makes frames of 64 pixels, D takes 32"),
        (1, {"b16.conv0.weight": torch.zeros(8, 7, 3, 3)}, "b16: 4 channels go in, 7 are taken"),
        (1, {"b8.conv0.weight": torch.zeros(8, 24, 3, 3)}, "no way of joining"),
        (1, {"time_encoder.const_embed.weight": None}, "takes 3 frames, which does not go with its time encoder"),
    ],
)
def test_tensors_of_other_networks_are_refused(net: int, change: dict[str, Any], complaint: str) -> None:
    states = list(official_states())
    states[net] = {name: tensor for name, tensor in {**states[net], **change}.items() if tensor is not None}
    with pytest.raises(InputError, match=complaint):
        tensor_settings(*states)
