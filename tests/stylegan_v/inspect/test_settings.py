from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from stylegan_v.inspect import settings
from stylegan_v.inspect.contents import Contents
from stylegan_v.inspect.opening import open_contents
from stylegan_v.networks import (
    Discriminator,
    Generator,
    LSTMMotion,
    MotionEncoder,
    ProjectionConditioning,
    TemporalModulation,
)
from stylegan_v.networks.decoders import ConvField
from stylegan_v.networks.motion_interface import Motionless
from tests.stylegan_v import tiny_gan


@pytest.fixture(scope="module")
def contents(trained: Path) -> Contents:
    return open_contents(trained)


def test_modules_are_built_without_memory(contents: Contents) -> None:
    modules = settings.built(contents)
    assert isinstance(modules["generator"], Generator) and isinstance(modules["discriminator"], Discriminator)
    assert all(tensor.device.type == "meta" for module in modules.values() for tensor in module.state_dict().values())


def test_what_cannot_be_built_is_noted(contents: Contents) -> None:
    changed = copy.deepcopy(contents)
    changed.weights.model["init_args"]["generator"]["class_path"] = "os.system"
    assert settings.built(changed).keys() == {"discriminator"}
    assert "generator cannot be built: os.system" in changed.notes[0]


def test_settings_of_a_generator_are_those_it_was_made_with() -> None:
    generator = tiny_gan.generator(c_dim=3)
    found = settings.generator_settings(generator, generator.state_dict())
    motion = found.pop("motion")
    assert found == {
        "resolution": [16, 16],
        "z_dim": 8,
        "w_dim": 8,
        "c_dim": 3,
        "num_ws": 6,
        "mapping_layers": 2,
        "channels": {"b4": 8, "b8": 8, "b16": 8},
        "conv_clamp": None,
        "noise_inputs": False,
        "time_conditioning": "concat_const",
    }
    assert motion == {
        "class": "MotionEncoder",
        "z_dim": 6,
        "out_dim": 16,
        "distance": 8,
        "max_num_frames": 32,
        "v_dim": 8,
        "kernel_size": 3,
        "encoding": "AcyclicEncoding",
        "num_frequencies": 8,
        "min_period": 16,
        "max_period": 1024,
    }


def test_temporal_modulation_is_told_of_where_there_is_some() -> None:
    motion = MotionEncoder(z_dim=4, v_dim=8, num_frequencies=4, kernel_size=3, max_num_frames=32)
    sizes = {"z_dim": 4, "w_dim": 8, "motion": motion, "channel_base": 64, "channel_max": 8}
    generator = Generator(16, **sizes, temporal_modulation=TemporalModulation(8, 8, num_knots=5, rank=3))
    found = settings.generator_settings(generator, {})
    assert found["temporal_modulation"] == {"num_knots": 5, "rank": 3}


def test_other_motions_tell_what_they_have() -> None:
    for motion, known in (
        (LSTMMotion(4, 8, max_num_frames=32), {"z_dim": 4, "out_dim": 8, "distance": 1, "max_num_frames": 32}),
        (Motionless(), {"z_dim": 0, "out_dim": 0}),
    ):
        generator = Generator(16, z_dim=4, w_dim=8, motion=motion, channel_base=64, channel_max=8, noise_inputs=True)
        found = settings.generator_settings(generator, {})
        assert found["motion"] == {"class": type(motion).__name__, **known}
        assert found["noise_inputs"] is True and found["conv_clamp"] == 256


def test_settings_of_a_discriminator_are_those_it_was_made_with() -> None:
    found = settings.discriminator_settings(tiny_gan.discriminator(c_dim=2))
    assert found == {
        "resolution": [16, 16],
        "num_frames": 3,
        "c_dim": 2,
        "conditioning": "HypernetworkConditioning",
        "condition_dim": 8,
        "max_num_frames": 32,
        "channels": {"b16": 8, "b8": 8, "b4": 8},
        "concat_res": 8,
        "mbstd_group_size": 2,
        "conv_clamp": None,
    }
    one_frame = Discriminator(16, conditioning=ProjectionConditioning(1), channel_base=64, channel_max=8, concat_res=8)
    assert settings.discriminator_settings(one_frame)["max_num_frames"] is None


def test_training_settings_are_numbers_that_act(contents: Contents) -> None:
    found = settings.training_settings(contents.config)
    assert found["r1_gamma"] == pytest.approx(0.0002 * 32 * 32 / 4)
    assert found["ema_kclips"] == pytest.approx(10 * 4 / 32)
    assert (found["batch_size"], found["ema_rampup"], found["total_kimg"]) == (4, 0.05, 0.048)
    assert (found["ada.target"], found["augment.preset"], found["g_optimizer.lr"]) == (0.6, "bgc", 0.0025)
    given = copy.deepcopy(contents.config)
    given["model"]["init_args"] |= {"r1_gamma": 2.5, "ema_kclips": 20}
    found = settings.training_settings(given)
    assert (found["r1_gamma"], found["ema_kclips"]) == (2.5, 20)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model": None, "data": 3},
        {"model": {"init_args": {"r1_gamma": None}}, "data": {"init_args": {"batch_size": "four"}}},
        {
            "model": {"init_args": {"r1_gamma": None, "generator": {"init_args": {"resolution": ["a", None, 3]}}}},
            "data": {"init_args": {"batch_size": 4}},
        },
    ],
)
def test_configs_that_say_little_or_nonsense(config: dict) -> None:
    found = settings.training_settings(config)
    assert found.get("r1_gamma") is None and "ema_kclips" not in found
    assert settings.data_settings(config) == {}


def test_data_settings_name_class_place_and_sampler(contents: Contents) -> None:
    config = copy.deepcopy(contents.config)
    config["data"]["init_args"]["root"] = "videos"
    assert settings.data_settings(config) == {
        "class": "datasets.datamodule.SyntheticVideos",
        "root": "videos",
        "resolution": 32,
        "batch_size": 4,
        "frame_sampler": {"class": "datasets.frame_sampling.HeavyTailed", "num_frames": 3, "max_num_frames": 64},
    }


def test_periods_are_those_of_the_tensor(contents: Contents) -> None:
    generator = tiny_gan.generator()
    state = generator.state_dict()
    state["synthesis.motion.time_encoder.freqs"] = 2 * torch.pi / torch.tensor([[500.0, 40.0, 7.5]])
    found = settings.generator_settings(generator, state)["motion"]
    assert (found["num_frequencies"], found["min_period"], found["max_period"]) == (3, 7.5, 500)


def test_a_decoder_is_told_of_where_there_is_one() -> None:
    sizes = {"z_dim": 8, "w_dim": 8, "channel_base": 128, "channel_max": 8, "motion": Motionless()}
    assert "decoder" not in settings.generator_settings(Generator(16, **sizes), {})
    found = settings.generator_settings(Generator(16, **sizes, decoder=ConvField), {})
    assert found["decoder"] == {"class": "ConvField", "mode": "residual"}
