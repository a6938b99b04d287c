"""The config.yaml of a converted snapshot: a whole experiment of ours that starts from its weights."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from stylegan_v.official.conversion import Notes
from stylegan_v.weights import Weights


def run_config(weights: Weights, notes: Notes, out: str) -> dict[str, Any]:
    """A config that `train.py fit` takes.

    Args:
        weights: From `conversion.convert`.
        notes: The same.
        out: The folder that holds the weights, as the user wrote it.
    """
    value = {name: setting.value for name, setting in notes.settings.items()}
    arguments = weights.model["init_args"]
    return {
        "seed_everything": 0,
        # Not the name of the folder alone: where that lies among the runs, the new run would write into it.
        "run_name": f"{Path(out).expanduser().resolve().name}_finetuned",
        "model": {**weights.model, "init_args": {"init_from": out, **arguments}},
        "data": {"class_path": "datasets.datamodule.VideoFolder", "init_args": _data(value)},
        "trainer": {
            "precision": value["precision"],
            "callbacks": [{"class_path": "stylegan_v.callbacks.SampleVideos", "init_args": {"every_updates": 1000}}],
        },
        "checkpointing": {"every_updates": 500, "keep_every_kimg": 1000},
    }


def _data(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "root": value["data"],
        "resolution": value["resolution"],
        "frame_sampler": value["frame_sampler"],
        "batch_size": value["batch_size"],
        "flip": value["flip"],
        "labels": "json" if value["c_dim"] else "none",
        "fps": value["fps"],
    }


def as_yaml(config: Mapping[str, Any], notes: Notes, source: str) -> str:
    """The text of config.yaml, with a header that says what it is and what in it is assumed.

    Args:
        config: From `run_config`.
        notes: Of the conversion.
        source: Name of the file that was converted.
    """
    out = config["model"]["init_args"]["init_from"]
    lines = [
        f"{source}, converted: its networks, its settings, and a new run that starts from its weights.",
        "Set data.root to the videos to train on; README.md says where each setting comes from.",
        f"  python train.py fit --config {shlex.quote(f'{out}/config.yaml')} --data.root PATH/TO/VIDEOS",
    ]
    lines += [f"Assumed: {text}" for text in notes.assumed(notes.settings)]
    header = "".join(f"# {' '.join(line.split())}\n" for line in lines)
    return header + yaml.safe_dump(dict(config), sort_keys=False, default_flow_style=None, width=120)
