"""The config of a conversion is a whole experiment that our parser takes."""

from __future__ import annotations

from pathlib import Path

import yaml

from stylegan_v.official.conversion import convert
from stylegan_v.official.flags import Flags
from stylegan_v.official.run_config import as_yaml, run_config
from tests.stylegan_v.official.converted import changed, sample, with_config


def test_config_starts_a_run_from_the_folder_as_it_was_written() -> None:
    weights, notes = convert(sample(), Flags(data="mine", fps=10.0))
    config = run_config(weights, notes, "models/ffs")
    assert (config["run_name"], config["seed_everything"]) == ("ffs_finetuned", 0)
    arguments = config["model"]["init_args"]
    assert arguments == {**weights.model["init_args"], "init_from": "models/ffs"}
    assert "init_from" not in weights.model["init_args"]
    data = config["data"]["init_args"]
    assert {name: data[name] for name in ("root", "resolution", "batch_size", "flip", "labels", "fps")} == {
        **{"root": "mine", "resolution": 32, "batch_size": 64, "flip": True, "labels": "none", "fps": 10.0}
    }
    assert config["trainer"]["precision"] == "32-true"
    assert run_config(weights, notes, "..")["run_name"] == f"{Path('..').resolve().name}_finetuned"


def test_labels_come_from_the_file_beside_the_videos() -> None:
    weights, notes = convert(sample())
    notes.settings["c_dim"] = type(notes.settings["c_dim"])(5, "tensors")
    assert run_config(weights, notes, "out")["data"]["init_args"]["labels"] == "json"


def test_text_says_what_it_is_and_what_is_assumed() -> None:
    weights, notes = convert(changed(init_kwargs={}))
    text = as_yaml(run_config(weights, notes, "out"), notes, "a\nb.pkl")
    lines = text.splitlines()
    assert lines[0].startswith("# a b.pkl, converted")
    assert "# python train.py fit --config out/config.yaml --data.root PATH/TO/VIDEOS" in lines
    assert "# Assumed: g_conv_clamp 256 (--conv_clamp)" in lines
    assert yaml.safe_load(text) == run_config(weights, notes, "out")


def test_command_in_it_can_be_pasted() -> None:
    weights, notes = convert(sample())
    text = as_yaml(run_config(weights, notes, "my models/ffs"), notes, "a.pkl")
    assert "# python train.py fit --config 'my models/ffs/config.yaml' --data.root PATH/TO/VIDEOS" in text.splitlines()


def test_no_path_of_somebodys_machine_gets_into_it() -> None:
    snapshot = with_config(dataset__path="/home/somebody/data.zip", env__project_path="/home/somebody")
    snapshot = changed(config=snapshot.config, training_set={"path": "/home/somebody/data.zip"})
    weights, notes = convert(snapshot)
    assert "somebody" not in as_yaml(run_config(weights, notes, "out"), notes, "a.pkl")
