"""Tensors, settings and snapshots of the original: what our networks and our converter make of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from einops import rearrange

from stylegan_v.checkpoints import build
from stylegan_v.networks import Discriminator, Generator, ProjectionConditioning
from stylegan_v.official import discriminator_names, generator_names
from stylegan_v.official.__main__ import main as official
from stylegan_v.official.conversion import network_settings
from stylegan_v.official.names import to_ours
from stylegan_v.pretrained import load_generator
from stylegan_v.weights import read_weights
from tests.conformance.fixture import RECORDINGS, TOLERANCE, frames_of, load
from tests.conformance.recordings import Recording, files, folder, relative_error

# Several channel tables make the same channels where they are cut off.
CUT_OFF = {"g_channel_base", "g_channel_max", "d_channel_base", "d_channel_max"}


def _official_256() -> list:
    path = folder("stylegan_v") / "official_256_parameters.json"
    if path.exists():
        return [pytest.param(path, id=path.stem)]
    return [pytest.param(None, id="official_256", marks=pytest.mark.skip(reason=f"the set has no {path.name}"))]


@pytest.mark.parametrize("path", _official_256())
def test_full_size_networks_have_the_recorded_tensors(path: Path) -> None:
    recorded = json.loads(path.read_text())
    setting = recorded["setting"]
    with torch.device("meta"):
        generator = Generator(setting["resolution"], c_dim=setting["c_dim"])
        conditioning = ProjectionConditioning(setting["num_frames_per_video"], setting["c_dim"])
        discriminator = Discriminator(setting["resolution"], conditioning=conditioning)
    for network, rows, names in (
        (generator, recorded["G"], generator_names),
        (discriminator, recorded["D"], discriminator_names),
    ):
        table = names({row["name"]: None for row in rows})
        state, parameters = network.state_dict(), dict(network.named_parameters())
        assert set(table.values()) == set(state)
        for row in rows:
            if row["name"] in table:
                assert list(state[table[row["name"]]].shape) == row["shape"], row["name"]
                assert (table[row["name"]] in parameters) == (row["kind"] == "parameter"), row["name"]
    assert sum(p.numel() for p in generator.parameters()) == recorded["totals"]["G"]["parameters"]
    assert sum(p.numel() for p in discriminator.parameters()) == recorded["totals"]["D"]["parameters"]
    assert generator.num_ws == recorded["num_ws"]


@pytest.mark.parametrize("path", RECORDINGS)
def test_settings_that_tensors_tell_are_the_recorded_ones(path: Path) -> None:
    """Without what the recording says of its settings; the rest of them is assumed, and said to be."""
    fixture = load(path)
    joined = network_settings(fixture.data.group("G"), fixture.data.group("D"), {}, {})
    told = {name for name, setting in joined.items() if setting.source == "tensors"}
    assert told >= {name for name, source in fixture.sources.items() if source == "tensors"} - CUT_OFF
    for name in told - CUT_OFF:
        assert joined[name].value == fixture.settings[name], name
    assert {"motion_z_distance", "g_conv_clamp", "d_conv_clamp", "mbstd_group_size"} & told == set()


@pytest.mark.parametrize("path", files("stylegan_v", "d_logits"))
def test_snapshot_in_a_folder_of_ours_gives_its_images_and_logits(path: Path, tmp_path: Path) -> None:
    data, folder = Recording(path), tmp_path / "model"
    official([str(path.with_name(path.name.replace("_expected.npz", ".pkl"))), str(folder)])
    generator, weights = load_generator(folder), read_weights(folder)
    discriminator = build(weights.model["init_args"]["discriminator"]).eval()
    discriminator.load_state_dict(weights.networks["discriminator"])
    for network, recorded in (("generator", "G"), ("generator_ema", "G_ema"), ("discriminator", "D")):
        expected = to_ours(data.group(f"state/{recorded}"))
        assert expected.keys() == weights.networks[network].keys()
        assert all(torch.equal(weights.networks[network][name], tensor) for name, tensor in expected.items())
    with torch.no_grad():
        clip = generator(data["z"], data["t"], None, data["motion_z"])
        logits = discriminator(rearrange(data["img"], "(b t) c h w -> b t c h w", b=len(clip)), data["d_t"])
    assert generator.synthesis.motion.num_codes(data["t"]) == data["motion_z"].shape[1]
    assert relative_error(frames_of(clip), data["img"]) < TOLERANCE["g_out/"]
    assert relative_error(logits, data["d_logits"]) < TOLERANCE["d_out/logits"]
