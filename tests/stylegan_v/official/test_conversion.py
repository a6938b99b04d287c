"""A snapshot becomes weights, a model and notes; contradictions are refused and what is assumed is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from errors import InputError
from stylegan_v.checkpoints import build
from stylegan_v.official.conversion import convert, in_words
from stylegan_v.official.flags import Flags
from stylegan_v.official.names import to_ours
from stylegan_v.official.networks import NETWORK_SETTINGS
from stylegan_v.pretrained import make_generator, read_model
from tests.stylegan_v.official.converted import SAMPLE, changed, sample, with_config

EXPECTED = SAMPLE.with_name("official_style_small_expected.npz")


def test_networks_are_the_recorded_ones_without_a_copy() -> None:
    weights, notes = convert(sample())
    recorded = np.load(EXPECTED, allow_pickle=False)
    assert list(weights.networks) == ["generator", "discriminator", "generator_ema"]
    for network, official in (("generator", "G"), ("discriminator", "D"), ("generator_ema", "G_ema")):
        keys = [key for key in recorded.files if key.startswith(f"state/{official}/")]
        expected = to_ours({key.split("/")[2]: torch.from_numpy(np.array(recorded[key])) for key in keys})
        assert weights.networks[network].keys() == expected.keys()
        assert all(torch.equal(weights.networks[network][name], tensor) for name, tensor in expected.items())
    assert weights.networks["generator"]["mapping.w_avg"] is sample().networks["G"]["mapping.w_avg"]
    assert notes.num_parameters == {"G": 17_762, "D": 35_350}


def test_model_and_facts_describe_the_run() -> None:
    weights, notes = convert(sample())
    assert (weights.kind, weights.path) == ("snapshot", SAMPLE)
    facts = {"num_frames": 5004, "num_clips": 1668, "updates": 26, "fps": 30.0, "augment_p": 0.0}
    assert weights.facts == facts
    arguments = weights.model["init_args"]
    assert weights.model["class_path"] == "stylegan_v.gan.VideoGAN"
    adam = {"lr": 0.0025, "betas": [0.0, 0.99], "eps": 1e-8, "fused": True}
    assert arguments["g_optimizer"] == arguments["d_optimizer"] == {"class_path": "torch.optim.Adam", "init_args": adam}
    assert arguments["ada"]["init_args"] == {"target": 0.6, "ada_kclips": 100, "p": 0.0}
    assert arguments["generator"]["init_args"]["motion"]["init_args"]["distance"] == 16
    assert build(arguments["discriminator"]).num_frames == 3
    assert notes.assumed(notes.settings) == []
    assert {setting.source for setting in notes.settings.values()} == {"tensors", "embedded"}
    assert next(line for line in notes.dropped if "resampling filter" in line).startswith("36 copies")
    assert any("G_opt, D_opt" in line for line in notes.dropped)
    assert set(sample().skipped) <= set(notes.dropped)


def test_path_length_and_no_augmentation_are_taken_over() -> None:
    config = {"model__loss_kwargs__pl_weight": 2.0, "training__aug": "noaug", "training__target": None}
    snapshot = with_config(**config, training__augpipe=None)
    arguments = convert(changed(config=snapshot.config, augment=None))[0].model["init_args"]
    assert arguments["generator_regularization"] == {"pl_weight": 2.0, "style_mixing_prob": 0.0}
    assert arguments["augment"] is arguments["ada"] is None


def test_flags_go_before_what_the_file_says() -> None:
    flags = Flags(motion_z_distance=4, conv_clamp=3.0, mbstd_group_size=2, fps=12.5, data="mine")
    weights, notes = convert(sample(), flags)
    arguments = weights.model["init_args"]
    assert arguments["generator"]["init_args"]["motion"]["init_args"]["distance"] == 4
    assert (
        arguments["generator"]["init_args"]["conv_clamp"] == arguments["discriminator"]["init_args"]["conv_clamp"] == 3
    )
    assert arguments["discriminator"]["init_args"]["mbstd_group_size"] == 2
    assert weights.facts["fps"] == 12.5
    given = {name for name, setting in notes.settings.items() if setting.source == "flag"}
    assert given == {"motion_z_distance", "g_conv_clamp", "d_conv_clamp", "mbstd_group_size", "fps", "data"}


def test_distance_of_codes_changes_the_motion() -> None:
    """What no tensor tells is not cosmetic: that is why it can be given."""
    z, motion_z = torch.randn(1, 16), torch.randn(1, 80, 12)
    t = torch.tensor([[0.0, 5.0, 20.0]])
    with torch.no_grad():
        clips = [make_generator(convert(sample(), flags)[0])(z, t, None, motion_z) for flags in (None, Flags(4))]
    torch.testing.assert_close(clips[0][:, 0], clips[1][:, 0])  # at time 0 both stand on the first code
    assert (clips[0] - clips[1])[:, 2].abs().max() > 0.1


def test_what_a_silent_file_leaves_open_is_assumed_and_said() -> None:
    silent = changed(config=None, init_kwargs={}, sampling={}, augment=None, optimizers={}, stats={}, training_set={})
    weights, notes = convert(silent)
    said = notes.assumed(NETWORK_SETTINGS)
    assert said == [
        "time_conditioning concat_const (--time_conditioning)",
        "g_conv_clamp 256 (--conv_clamp)",
        "motion_z_distance 16 (--motion_z_distance)",
        "d_conv_clamp 256 (--conv_clamp)",
        "mbstd_group_size 4 (--mbstd_group_size)",
        "condition_ignored no",
    ]
    assert weights.facts == {}
    assert len(notes.assumed(notes.settings)) > len(said)


@pytest.mark.parametrize(
    "snapshot, flags, complaint",
    [
        (with_config(model__discriminator__concat_res=8), None, "concat_res: 16 by the tensors, 8 by the file's own"),
        (
            with_config(model__generator__motion__v_dim=15),
            None,
            "motion_v_dim: 14 by the tensors, 15 by the file's own",
        ),
        (
            with_config(model__generator__time_enc__min_period_len=17),
            None,
            "min_period: 16 by the tensors, 17 by the file's own",
        ),
        (sample(), Flags(max_num_frames=128), "max_num_frames: 64 by the tensors, 128 by the flag: leave it out"),
        (
            changed(init_kwargs={**sample().init_kwargs, "D": {"channel_base": 64, "channel_max": 12}}),
            None,
            "d_channel_base: .* by the tensors, 64 by the file's own",
        ),
        (changed(networks={**sample().networks, "D": {}}), None, "blocks none: not those of a network"),
    ],
)
def test_contradictions_are_refused_with_both_values(snapshot, flags, complaint: str) -> None:  # noqa: ANN001
    with pytest.raises(InputError, match=f"{SAMPLE}: {complaint}"):
        convert(snapshot, flags)


def test_only_wanted_networks_are_handed_over_but_all_are_looked_at() -> None:
    weights, _ = convert(sample(), wanted=["generator_ema"])
    assert list(weights.networks) == ["generator_ema"]
    broken = {**sample().networks, "G": {**sample().networks["G"], "mapping.fc1.bias": torch.zeros(3)}}
    with pytest.raises(InputError, match=r"mapping\.layers\.1\.bias: shape \[3\] in the file, \[20\] in the network"):
        convert(changed(networks=broken), wanted=["generator_ema"])


def test_other_number_types_are_brought_to_float32_and_said() -> None:
    half = {name: tensor.half() for name, tensor in sample().networks["G"].items()}
    weights, notes = convert(changed(networks={**sample().networks, "G": half}))
    assert {tensor.dtype for tensor in weights.networks["generator"].values()} == {torch.float32}
    assert torch.equal(weights.networks["generator"]["mapping.w_avg"], half["mapping.w_avg"].float())
    assert "G: tensors in float16, brought to float32" in notes.dropped


def test_half_precision_blocks_are_said_to_be_left_to_autocast() -> None:
    kwargs = {**sample().init_kwargs, "G": {"synthesis_kwargs": {"num_fp16_res": 4}}}
    assert any("half precision" in line for line in convert(changed(init_kwargs=kwargs))[1].dropped)
    assert not any("half precision" in line for line in convert(sample())[1].dropped)


def test_reading_a_snapshot_as_a_model_says_what_is_assumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    weights = read_model(SAMPLE, ["discriminator"])
    assert (weights.kind, list(weights.networks), caplog.text) == ("snapshot", ["discriminator"], "")
    silent = changed(init_kwargs={})
    monkeypatch.setattr("stylegan_v.pretrained.read_original", lambda path: silent)
    read_model(SAMPLE)
    assert "assumed, as the file does not say: g_conv_clamp 256 (--conv_clamp)" in caplog.text
    assert "batch_size" not in caplog.text  # of no consequence here


def test_values_in_words() -> None:
    assert in_words({"class_path": "a.b.C", "init_args": {"x": [1, 2.5], "y": None}}) == "C (x 1 2.5, y none)"
    assert in_words({"xflip": 1.0, "noise": 0.0}) == "xflip 1"
    assert [in_words(value) for value in (True, 1e-8, "name", {})] == ["yes", "1e-08", "name", "nothing"]
