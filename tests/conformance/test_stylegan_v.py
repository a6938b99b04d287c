"""Our networks, losses and training step against the numbers recorded from the original StyleGAN-V.

Every setting, size and seed comes from the files, so another set of recordings passes the same tests. Each function
``..._results`` computes a group of recorded keys with our code; `test_every_recorded_key_is_compared` sees to it that
no key is left out.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegan_v.networks.conditioning import distance_frequencies
from stylegan_v.networks.motion import AcyclicEncoding
from stylegan_v.official import discriminator_names, generator_names
from tests.conformance.discriminator_results import discriminator_results
from tests.conformance.fixture import RECORDINGS, ROUTES, TOLERANCE, load
from tests.conformance.generator_results import generator_results, long_results
from tests.conformance.phase_results import (
    discriminator_phase_results,
    generator_phase_results,
    path_length_results,
    r1_results,
)
from tests.conformance.recordings import assert_matches, relative_error
from tests.conformance.training_results import training_results

GROUPS = {
    "generator": generator_results,
    "long times": long_results,
    "discriminator": discriminator_results,
    "generator phase": generator_phase_results,
    "discriminator phase": discriminator_phase_results,
    "R1": r1_results,
    "path length": path_length_results,
    "training": training_results,
}
PART = {"path length": "loss_in/path_length_noise", "training": "train_in/gen_z"}


@lru_cache(maxsize=len(GROUPS))
def results(path: Path, group: str, route: str = "tensors") -> dict[str, Tensor]:
    return GROUPS[group](load(path, route))


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("path", RECORDINGS)
def test_results_equal_the_recorded_ones(path: Path, route: str, group: str) -> None:
    if PART.get(group, "config_json") not in load(path, route).data:
        pytest.skip(f"{path.name} has no recording of {group}")
    assert_matches(results(path, group, route), load(path, route).data, TOLERANCE)


@pytest.mark.parametrize("path", RECORDINGS)
def test_every_recorded_key_is_compared(path: Path) -> None:
    recorded = {key for key in load(path).data.keys if "_out" in key.split("/")[0] and not key.endswith("_json")}
    compared = set().union(*(results(path, group) for group in GROUPS))
    assert sorted(recorded - compared) == []


@pytest.mark.parametrize("path", RECORDINGS)
def test_parameters_and_buffers_are_the_recorded_ones(path: Path) -> None:
    fixture = load(path)
    for prefix, network, names in (
        ("G", fixture.generator(), generator_names),
        ("D", fixture.discriminator(), discriminator_names),
    ):
        table = names(fixture.data.group(prefix))
        assert {table[name] for name in fixture.data.json(f"{prefix}_parameter_names_json")} == {
            name for name, _ in network.named_parameters()
        }
        buffers = [table[name] for name in fixture.data.json(f"{prefix}_buffer_names_json") if name in table]
        assert set(buffers) == {name for name, _ in network.named_buffers()}
        assert len(set(table.values())) == len(table)


@pytest.mark.parametrize("path", RECORDINGS)
def test_only_the_needed_motion_noise_has_an_influence(path: Path) -> None:
    fixture = load(path)
    generator = fixture.generator()
    z, c, t, motion_z = (fixture.data[f"g_in/{name}"] for name in ("z", "c", "t", "motion_z"))
    used = motion_z[: len(z), : int(fixture.data["g_out/traj_len"])]
    with torch.no_grad():
        error = relative_error(generator(z, t, c, used), generator(z, t, c, motion_z))
    assert error < 1e-5


@pytest.mark.parametrize("path", RECORDINGS)
def test_frequency_tables_are_the_recorded_ones(path: Path) -> None:
    """The networks above take these constants from the file; here they are what our code computes."""
    fixture = load(path)
    time_enc = fixture.config["model"]["generator"]["time_enc"]
    horizon = fixture.config["model"]["discriminator"]["sampling"]["max_num_frames"]
    encoding = AcyclicEncoding(8, time_enc["dim"], time_enc["min_period_len"], time_enc["max_period_len"])
    state = fixture.data.group("G")
    prefix = "synthesis.motion_encoder.time_encoder"
    assert relative_error(encoding.freqs, state[f"{prefix}.freqs"]) < 1e-6
    assert relative_error(encoding.phase_scales, state[f"{prefix}.phase_scales"]) < 1e-6
    recorded = fixture.data.group("D")["time_encoder.time_encoder.fourier_coefs"]
    assert relative_error(distance_frequencies(horizon), recorded) < 1e-6
