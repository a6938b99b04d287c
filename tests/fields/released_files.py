"""Checkpoints in the form in which the original LIIF publishes them, made of recorded models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fields.nodes import build
from fields.official.image_models import liif_node
from tests.conformance.recordings import Recording, folder


def recording(name: str) -> Recording:
    """A recording of LIIF."""
    return Recording(folder("liif") / f"{name}.npz")


def settings_of(found: Recording) -> dict[str, Any]:
    """The settings of a recorded model, as a checkpoint of the original holds them."""
    config = found.json("config")
    if "model" in config:
        return {"name": "liif", "args": config["model"]}
    return {"name": "metasr", "args": config}


def checkpoint_of(found: Recording, state: dict[str, Tensor] | None = None) -> dict[str, Any]:
    """What the original saves: the model, two moments of every parameter, the epoch."""
    state = found.group("sd") if state is None else state
    moments = {i: {"step": 10, "exp_avg": one, "exp_avg_sq": one} for i, one in enumerate(state.values())}
    optimizer = {"name": "adam", "args": {"lr": 1e-4}, "sd": {"state": moments, "param_groups": [{"lr": 1e-4}]}}
    return {"model": {**settings_of(found), "sd": state}, "optimizer": optimizer, "epoch": 1000}


def write(path: Path, name: str = "edsr_u1_e1_c1", **how: Any) -> Path:
    """Saves such a checkpoint of a recorded model."""
    torch.save(checkpoint_of(recording(name)), path, **how)
    return path


def node_of(args: dict[str, Any]) -> dict[str, Any]:
    """The node of a LIIF with these settings of the original."""
    return liif_node({"model": {"name": "liif", "args": args}})


def state_of(node: dict[str, Any]) -> dict[str, Tensor]:
    """Its tensors, without memory."""
    return build(node, 10_000).state_dict()
