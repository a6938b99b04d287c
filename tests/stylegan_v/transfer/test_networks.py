from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from errors import InputError
from stylegan_v.checkpoints import build
from stylegan_v.networks import Discriminator, Generator, HypernetworkConditioning, MotionEncoder, Motionless
from stylegan_v.pretrained import read_model
from stylegan_v.transfer import Table, start_from, transfer
from stylegan_v.weights import Weights, write_weights

PATH = Path("runs/source/last.ckpt")
SIZES = {"resolution": 16, "channel_base": 128, "channel_max": 8}
MOTION = {"z_dim": 6, "v_dim": 8, "num_frequencies": 8, "kernel_size": 3, "max_num_frames": 32}
CONDITION = {"num_frames": 3, "dim": 8, "max_num_frames": 32}
MODEL = {
    "class_path": "stylegan_v.gan.VideoGAN",
    "init_args": {
        "generator": {
            "class_path": "stylegan_v.networks.Generator",
            "init_args": {
                **SIZES,
                "z_dim": 8,
                "w_dim": 8,
                "motion": {"class_path": "stylegan_v.networks.MotionEncoder", "init_args": MOTION},
            },
        },
        "discriminator": {
            "class_path": "stylegan_v.networks.Discriminator",
            "init_args": {
                **SIZES,
                "concat_res": 8,
                "conditioning": {"class_path": "stylegan_v.networks.HypernetworkConditioning", "init_args": CONDITION},
            },
        },
    },
}


def generator(seed: int, **settings: Any) -> Generator:
    torch.manual_seed(seed)
    return Generator(**{**SIZES, "z_dim": 8, "w_dim": 8, "motion": MotionEncoder(**MOTION), **settings})


def discriminator(seed: int) -> Discriminator:
    torch.manual_seed(seed)
    return Discriminator(**SIZES, concat_res=8, conditioning=HypernetworkConditioning(**CONDITION))


def networks() -> dict[str, nn.Module]:
    return {"generator": generator(5), "generator_ema": generator(6), "discriminator": discriminator(7)}


def weights(*names: str, **facts: Any) -> Weights:
    made = {"generator": generator(1), "generator_ema": generator(2), "discriminator": discriminator(3)}
    return Weights(PATH, "checkpoint", {name: made[name].state_dict() for name in names}, MODEL, facts)


def same(network: nn.Module, state: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def outcomes(table: Table, network: str) -> set[str]:
    return {row.outcome for row in table.rows if row.network == network}


def test_each_network_comes_from_its_own() -> None:
    source, new = weights("generator", "generator_ema", "discriminator", num_clips=100), networks()
    table = transfer(source, new)
    assert all(same(network, source.networks[name]) for name, network in new.items())
    assert (table.path, table.num_clips, table.notes) == (PATH, 100, [])
    assert [row.network for row in table.rows if row.name == "mapping.w_avg"] == ["generator", "generator_ema"]
    assert len(table.rows) == sum(len(state) for state in source.networks.values())


def test_it_does_not_touch_the_source() -> None:
    source = weights("generator", "generator_ema", "discriminator")
    before = {name: {key: value.clone() for key, value in state.items()} for name, state in source.networks.items()}
    new = networks()
    transfer(source, new)
    with torch.no_grad():
        for network in new.values():
            for parameter in network.parameters():
                parameter.zero_()
    torch.testing.assert_close(source.networks, before, rtol=0, atol=0)


@pytest.mark.parametrize("only", ["generator", "generator_ema"])
def test_a_single_generator_makes_both(only: str) -> None:
    source, new = weights(only, "discriminator"), networks()
    transfer(source, new)
    assert same(new["generator"], source.networks[only]) and same(new["generator_ema"], source.networks[only])


def test_without_a_discriminator_it_starts_anew_and_says_so() -> None:
    source, new = weights("generator_ema"), networks()
    before = {name: value.clone() for name, value in new["discriminator"].state_dict().items()}
    table = transfer(source, new)
    assert same(new["discriminator"], before)
    assert outcomes(table, "discriminator") == {"new"}
    assert table.notes == [f"{PATH} holds no discriminator: it starts anew"]
    assert table.num_clips is None


def test_the_same_twice() -> None:
    first, second = networks(), networks()
    for new in (first, second):
        new["generator"] = new["generator_ema"] = generator(5, resolution=32)
        transfer(weights("generator"), new)
    assert same(first["generator"], second["generator"].state_dict())


def test_clips_of_several_runs_in_a_row_add_up() -> None:
    assert transfer(weights("generator", num_clips=100, past_clips=50), networks()).num_clips == 150


def test_frozen_layers_are_filled_and_new_ones_are_told_of() -> None:
    source, new = weights("generator", "discriminator"), networks()
    new["discriminator"].freeze_layers(4)
    assert transfer(source, new).notes == []
    assert same(new["discriminator"], source.networks["discriminator"])
    alone = transfer(weights("generator"), new)
    assert alone.notes[0].endswith("it starts anew")
    larger = {"generator": generator(5), "discriminator": Discriminator(32, channel_base=128, channel_max=8)}
    larger["discriminator"].freeze_layers(4)
    (note,) = transfer(source, larger).notes
    assert note == "model.freeze_d freezes layers that start anew, fromrgb.weight first: freeze fewer"


def test_from_a_file(tmp_path: Path) -> None:
    source = weights("generator_ema")
    write_weights(tmp_path / "generator.safetensors", source.networks, {"num_clips": 7})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model": MODEL}))
    new = networks()
    table = start_from(str(tmp_path), new)
    assert same(new["generator"], source.networks["generator_ema"])
    assert (table.path, table.num_clips) == (tmp_path / "generator.safetensors", 7)


def test_from_a_snapshot_of_the_original_system() -> None:
    """Into networks with another number of frames and another conditioning than it has."""
    path = Path("tests/conformance/data/stylegan_v/official_style_small.pkl")
    source = read_model(path)
    settings = copy.deepcopy(source.model["init_args"])
    settings["discriminator"]["init_args"]["conditioning"]["class_path"] = (
        "stylegan_v.networks.HypernetworkConditioning"
    )
    settings["discriminator"]["init_args"]["conditioning"]["init_args"]["num_frames"] = 6
    new = {name: build(settings[name.removesuffix("_ema")]) for name in networks()}
    table = start_from(str(path), new)
    assert all(same(new[name], source.networks[name]) for name in ("generator", "generator_ema"))
    assert outcomes(table, "discriminator") == {"taken", "adapted", "new"}
    old = build(source.model["init_args"]["discriminator"])
    old.load_state_dict(source.networks["discriminator"])
    image = torch.randn(4, 1, 3, 32, 32)
    logits = [
        d(image.repeat(1, k, 1, 1, 1), torch.arange(k).expand(4, -1)) for k, d in ((3, old), (6, new["discriminator"]))
    ]
    torch.testing.assert_close(logits[1], logits[0], rtol=1e-4, atol=1e-5)
    assert table.num_clips == source.facts["num_clips"] > 0


@pytest.mark.gpu
def test_networks_on_a_device_are_filled_with_the_same_values() -> None:
    here, there = networks(), {name: network.cuda() for name, network in networks().items()}
    for new in (here, there):
        transfer(weights("generator", "discriminator"), new)
    for name, network in here.items():
        for key, value in network.state_dict().items():
            assert torch.equal(there[name].state_dict()[key].cpu(), value)


def test_a_source_without_a_generator() -> None:
    with pytest.raises(InputError, match=r"last\.ckpt: holds no generator \(discriminator\)"):
        transfer(weights("discriminator"), networks())
    with pytest.raises(InputError, match=r"holds no generator \(nothing of a video GAN\)"):
        transfer(weights(), networks())


def test_networks_with_nothing_in_common() -> None:
    new = {"generator": generator(5, channel_base=64, channel_max=5, w_dim=7, z_dim=7, motion=Motionless())}
    with pytest.raises(InputError, match=r"last\.ckpt: nothing of it fits these networks"):
        transfer(weights("generator"), new)


def test_weights_that_are_not_finite() -> None:
    source = weights("generator")
    source.networks["generator"]["mapping.w_avg"][0] = torch.nan
    with pytest.raises(InputError, match=r"generator\.mapping\.w_avg is not finite: give an earlier checkpoint"):
        transfer(source, networks())


def test_weights_that_are_not_those_of_their_config() -> None:
    source = weights("generator")
    del source.networks["generator"]["mapping.w_avg"]
    with pytest.raises(InputError, match=r"last\.ckpt: .* mapping\.w_avg is missing there"):
        transfer(source, networks())
