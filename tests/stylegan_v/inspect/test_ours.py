from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from errors import InputError
from stylegan_v.inspect.opening import open_contents
from tests.stylegan_v.inspect.files import FACTS, networks_of


def checkpoint_of(run: Path) -> dict:
    return torch.load(run / "last.ckpt", weights_only=True)


def test_checkpoint_of_a_run(run: Path) -> None:
    checkpoint = checkpoint_of(run)
    found = open_contents(run)
    assert (found.path, found.kind) == (run / "last.ckpt", "checkpoint")
    for network, expected in networks_of(checkpoint).items():
        assert found.tensors[network].keys() == expected.keys()
        assert all(torch.equal(found.tensors[network][name], tensor) for name, tensor in expected.items())
    held = sum(len(tensors) for tensors in found.tensors.values())
    assert held == len(checkpoint["state_dict"])  # none is left out
    assert {"ada.p", "mean_path_length"} <= found.tensors["other"].keys()
    assert found.facts == FACTS | {"augment_p": checkpoint["state_dict"]["ada.p"].item()}
    assert found.config == yaml.safe_load(checkpoint["config"])
    assert found.written_by == {
        "pytorch-lightning": checkpoint["pytorch-lightning_version"],
        "torch": str(torch.__version__),
    }
    assert found.bad_in_a_row == {"generator": 0, "discriminator": 0, "r1": 0}
    assert found.notes == []


def test_clips_of_the_weights_a_run_started_from_are_told(run: Path) -> None:
    checkpoint = checkpoint_of(run)
    for past, told in ((300, {"past_clips": 300}), (0, {}), (None, {})):
        checkpoint["counters"]["past_clips"] = past
        torch.save(checkpoint, run / "last.ckpt")
        assert {name: n for name, n in open_contents(run).facts.items() if name == "past_clips"} == told


def test_optimizers_of_a_checkpoint(run: Path) -> None:
    checkpoint = checkpoint_of(run)
    stored = [state["param_groups"][0] for state in checkpoint["optimizer_states"]]
    found = open_contents(run).optimizers
    assert [(one.network, one.class_path) for one in found] == [
        ("generator", "stylegan_v.steps.AdversarialAdam"),
        ("discriminator", "stylegan_v.steps.AdversarialAdam"),
    ]
    assert [one.settings["lr"] for one in found] == [0.0025 * 4 / 5, 0.0025 * 16 / 17]
    assert [tuple(one.settings["betas"]) for one in found] == [group["betas"] for group in stored]
    assert [one.num_parameters for one in found] == [len(group["params"]) for group in stored]
    assert [(one.steps, one.not_finite) for one in found] == [(4, 0), (5, 0)]  # R1 in update 0


def test_spoilt_moments_are_counted(run: Path) -> None:
    checkpoint = checkpoint_of(run)
    moment = checkpoint["optimizer_states"][1]["state"][3]["exp_avg_sq"]
    moment.view(-1)[:2] = torch.tensor([torch.nan, torch.inf])
    torch.save(checkpoint, run / "last.ckpt")
    assert [one.not_finite for one in open_contents(run).optimizers] == [0, 2]


def test_folder_and_file_of_networks(model_folder: Path) -> None:
    for path in (model_folder, model_folder / "model.safetensors"):
        found = open_contents(path)
        assert (found.path, found.kind) == (model_folder / "model.safetensors", "model")
        assert found.tensors.keys() == {"generator", "generator_ema", "discriminator"}
        assert found.facts == FACTS and found.optimizers == [] and found.notes == []


def test_generator_alone(generator_file: Path) -> None:
    found = open_contents(generator_file)
    assert (found.kind, found.tensors.keys()) == ("generator", {"generator_ema"})
    assert found.weights.networks["generator_ema"].keys() == found.tensors["generator_ema"].keys()


def test_file_without_its_config_is_still_shown(generator_file: Path) -> None:
    (generator_file.parent / "config.yaml").unlink()
    found = open_contents(generator_file)
    assert found.weights is None and found.tensors.keys() == {"generator_ema"}
    assert "config.yaml: missing" in found.notes[0]
    assert found.beside["config.yaml"] == "none"


def test_checkpoint_without_config_is_still_shown(run: Path) -> None:
    checkpoint = checkpoint_of(run)
    del checkpoint["config"]
    torch.save(checkpoint, run / "last.ckpt")
    found = open_contents(run)
    assert found.weights is None and "carries no config" in found.notes[0]
    assert found.facts["updates"] == 4 and found.tensors["generator_ema"]


def test_hostile_states_are_refused(run: Path) -> None:
    path, checkpoint = run / "last.ckpt", checkpoint_of(run)
    states = checkpoint["optimizer_states"]
    for damaged in ([{}], [3], [{"param_groups": [], "state": {}}], [{"param_groups": states[0], "state": 5}]):
        torch.save(checkpoint | {"optimizer_states": damaged}, path)
        with pytest.raises(InputError, match="optimisers is damaged"):
            open_contents(run)
    huge = {"generator.synthesis.const": torch.zeros(1).expand(10**13)}
    torch.save(checkpoint | {"state_dict": checkpoint["state_dict"] | huge}, path)
    with pytest.raises(InputError, match="claims more values"):
        open_contents(run)
    torch.save(checkpoint | {"state_dict": checkpoint["state_dict"] | {"generator.x": "text"}}, path)
    with pytest.raises(InputError, match="no plain tensor"):
        open_contents(run)
