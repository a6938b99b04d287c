"""Fits of one architecture to clips by train.py: kept by their settings, and gone on with where they were cut off."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from datasets.files import remove, write_json
from errors import InputError
from fields.weights import LAST

# About a third of the parameters in each of planes and volume, and no more in the network than a clip can pay for.
ARCHITECTURE = {
    "class_path": "fields.nvp.NVP",
    "init_args": {"levels": 6, "base": 8, "growth": 1.6, "sparse_shape": [32, 24, 24], "width": 16, "capped": True},
}
RATE_WEIGHTS = (3.2e-2, 2e-3)  # most and least
_DONE = "finished.json"


@dataclass(frozen=True)
class Plan:
    """How long fits are, and by what they see.

    Attributes:
        updates: Of each fit.
        batch_size: Pixels of an update.
        architecture: Node of the field without its size.
        seed: Of parameters and pixels.
    """

    updates: int = 2000
    batch_size: int = 8192
    architecture: dict[str, Any] | None = None
    seed: int = 0


def fit_config(folder: Path, plan: Plan, fitting: dict[str, Any]) -> dict[str, Any]:
    """The run as train.py takes it.

    Args:
        folder: The clip's frames.
        plan: Length and data.
        fitting: ``{class_path, init_args}``: which fitting, with the arguments that are its own.
    """
    common = {
        "model": plan.architecture or ARCHITECTURE,
        "lr": 1e-2,
        "total_updates": plan.updates,
        "validate_every": plan.updates,
    }
    return {
        "seed_everything": plan.seed,
        "model": {"class_path": fitting["class_path"], "init_args": {**common, **fitting.get("init_args", {})}},
        "data": {
            "class_path": "datasets.signal_datamodule.VideoSignal",
            "init_args": {"path": str(folder), "batch_size": plan.batch_size, "seed": plan.seed},
        },
        "trainer": {"accelerator": "cpu", "logger": False},
        "progress": {"line_seconds": 1e9},
        "checkpointing": {"every_updates": max(1, plan.updates // 4)},
    }


def configs_of(folder: Path, plan: Plan, kinds: Sequence[str], points: int) -> dict[str, list[dict[str, Any]]]:
    """The fits of a clip by their kind, "rival" and "rate".

    Args:
        folder: The clip's frames.
        plan: Length and data.
        kinds: Which are asked for.
        points: Fits of the rate-aware kind.
    """
    # What suits it better than NVP's own rate and decay: 8 % less payload at the same PSNR on the clip "carphone".
    usual = {"grid_lr": 4e-2, "weight_decay": 0.0}
    fittings = {
        "rival": [{"class_path": "fields.fitting.FieldFitting", "init_args": usual}],
        "rate": [
            {"class_path": "fields.fitting.RateFitting", "init_args": {"rate_weight": weight}}
            for weight in rate_weights(points)
        ],
    }
    return {kind: [fit_config(folder, plan, one) for one in fittings[kind]] for kind in fittings if kind in kinds}


def rate_weights(points: int) -> list[float]:
    """What a bit costs, from much to little, evenly by its logarithm.

    Args:
        points: How many, at least 2.
    """
    return [float(weight) for weight in np.geomspace(*RATE_WEIGHTS, points)]


def run_folder(config: dict[str, Any], work: Path) -> Path:
    """Where a fit with these settings lies, whether it is there or not."""
    clip = Path(config["data"]["init_args"]["path"])
    settings = json.dumps({**config, "data": {**config["data"]["init_args"], "path": clip.name}}, sort_keys=True)
    return work / "fits" / f"{clip.name}_{hashlib.sha256(settings.encode()).hexdigest()[:12]}"


def is_done(run: Path) -> bool:
    """Whether a fit was finished."""
    return (run / _DONE).exists()


def fit(config: dict[str, Any], work: Path) -> Path:
    """The run folder of a fit, which is made, or gone on with, unless it is finished.

    Args:
        config: As `fit_config` gives it.
        work: Where fits are kept.
    """
    run = run_folder(config, work)
    if is_done(run):
        return run
    from train import main

    going_on = (run / LAST).exists()
    if run.exists() and not going_on:
        remove(run)  # cut off before anything was kept
    run.parent.mkdir(parents=True, exist_ok=True)
    path = run.with_name(f"{run.name}.yaml")
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    given, sys.argv[1:] = sys.argv[1:], []  # what was meant for this program is no business of the other
    try:
        where = ["--runs_dir", str(run.parent), "--run_name", run.name]
        main(["fit", "--config", str(path), *where, *(["--ckpt_path", "last"] if going_on else [])])
    finally:
        sys.argv[1:] = given
    if not _is_whole(run, config["model"]["init_args"]["total_updates"]):
        raise InputError(f"{run}: the fit was stopped: give the same command again to go on")
    write_json(run / _DONE, {})
    return run


def _is_whole(run: Path, updates: int) -> bool:
    """Whether the last measurement was made after so many updates."""
    path = run / "validation.jsonl"
    return path.exists() and json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["updates"] == updates
