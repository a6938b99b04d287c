"""What a file of weights holds, of whichever form: opened, nothing in it run, nothing computed yet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from errors import InputError
from stylegan_v.checkpoints import LAST, parse_config, read_checkpoint, read_config
from stylegan_v.inspect.tensors import check_plain
from stylegan_v.pretrained import read_model
from stylegan_v.weights import CONFIG, GENERATOR, MODEL, NETWORKS, Weights, checkpoint_facts, find_weights, read_weights

Tensors = dict[str, dict[str, Tensor]]
OTHER = "other"  # where tensors outside of the networks stand
KINDS = {
    "checkpoint": "state of a run (Lightning checkpoint): to resume, to sample and fine-tune from",
    "model": "networks to sample and fine-tune from",
    "generator": "generator to sample from",
    "official": "networks under the names of the original system",
    "snapshot": "training snapshot of the original system",
}


@dataclass(frozen=True)
class OptimizerFacts:
    """What is stored of one optimiser.

    Attributes:
        network: That it moves.
        class_path: Its class; None where no config names it.
        settings: Plain values: ``lr``, ``betas``, ``eps``, as they act, after the correction for lazy regularisation.
        num_parameters: Tensors that it moves.
        steps: It has taken; None where none are stored.
        not_finite: Values of its moments that are NaN or infinite.
    """

    network: str
    class_path: str | None
    settings: dict[str, Any]
    num_parameters: int
    steps: int | None
    not_finite: int


@dataclass(frozen=True)
class Contents:
    """An opened file.

    Attributes:
        path: The file.
        kind: One of `KINDS`.
        tensors: By network and by name; under "other", those that belong to none.
        weights: What its networks are built from; None where they cannot be, and `notes` say why.
        parameters: By network, the names that training moves, where the file itself tells.
        config: The whole config of the run, as far as it is known.
        facts: Plain values of the run, as `weights.Weights` has them.
        written_by: Versions and marks that whoever wrote the file left in it.
        optimizers: Those that are stored.
        bad_in_a_row: Steps skipped in a row up to the end, by phase.
        beside: What stands in the same folder and belongs to it, and whether it agrees.
        notes: What was left out, and why; where settings come from.
    """

    path: Path
    kind: str
    tensors: Tensors = field(repr=False)
    weights: Weights | None = field(repr=False)
    parameters: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)
    config: dict[str, Any] = field(default_factory=dict, repr=False)
    facts: dict[str, Any] = field(default_factory=dict)
    written_by: dict[str, str] = field(default_factory=dict)
    optimizers: list[OptimizerFacts] = field(default_factory=list)
    bad_in_a_row: dict[str, int] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def open_contents(path: str | os.PathLike[str]) -> Contents:
    """What ``path`` holds.

    Args:
        path: A run folder (its last checkpoint is taken), a folder of weights, or a file.

    Raises:
        InputError: There is nothing there, or it is no file of weights.
    """
    path = find_weights(path)
    return _of_safetensors(path) if path.suffix == ".safetensors" else _of_checkpoint(path)


def _weights(path: Path, notes: list[str]) -> Weights | None:
    """The networks of a file whose tensors can be read; where the rest does not suffice, a note says so."""
    try:
        return read_model(path)
    except InputError as error:
        notes.append(f"networks cannot be built: {error}")
        return None


def split(state: Mapping[str, Any], networks: tuple[str, ...] = NETWORKS) -> Tensors:
    """A flat state dict by network; what belongs to none keeps its full name.

    Raises:
        InputError: An entry is no plain tensor.
    """
    tensors: Tensors = {}
    for full, tensor in state.items():
        network, _, name = str(full).partition(".")
        network, name = (network, name) if network in networks and name else (OTHER, str(full))
        tensors.setdefault(network, {})[name] = check_plain(str(full), tensor)
    return tensors


# Safetensors.


def _of_safetensors(path: Path) -> Contents:
    notes: list[str] = []
    state, metadata = _read_safetensors(path)
    if metadata.get("format") != "stylegan_v":
        raise InputError(f"{path}: weights of another program: give what train.py or stylegan_v.official wrote")
    config = path.with_name(CONFIG)
    weights = _weights(path, notes)
    return Contents(
        path,
        "model" if path.name == MODEL or any(name.startswith("discriminator.") for name in state) else "generator",
        split(state),
        weights,
        config=parse_config(config.read_text(encoding="utf-8", errors="replace"), config) if weights else {},
        facts=weights.facts if weights else {},
        written_by={name: text for name, text in metadata.items() if name != "facts"},
        beside=_beside(path, weights.facts if weights else {}),
        notes=notes,
    )


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path}: not a file of weights, or a damaged one: {error}") from error


# Checkpoints of runs.


def _of_checkpoint(path: Path) -> Contents:
    notes: list[str] = []
    checkpoint = read_checkpoint(path, mmap=True)
    weights = _weights(path, notes)
    config = read_config(checkpoint, path) if isinstance(checkpoint.get("config"), str) else {}
    facts = checkpoint_facts(checkpoint, config)
    counters = checkpoint.get("counters")
    bad = counters.get("bad_in_a_row") if isinstance(counters, dict) else None
    versions = {"pytorch-lightning": checkpoint.get("pytorch-lightning_version")}
    return Contents(
        path,
        "checkpoint",
        split(checkpoint["state_dict"]),
        weights,
        config=config,
        facts=facts,
        written_by={name: text for name, text in versions.items() if isinstance(text, str)},
        optimizers=_optimizers(checkpoint, weights, path),
        bad_in_a_row={str(k): v for k, v in bad.items() if isinstance(v, int)} if isinstance(bad, dict) else {},
        beside=_beside(path, facts, checkpoint.get("config")),
        notes=notes,
    )


def _optimizers(checkpoint: Mapping[str, Any], weights: Weights | None, path: Path) -> list[OptimizerFacts]:
    """The optimisers of a checkpoint, in the order in which the model makes them."""
    settings = weights.model["init_args"] if weights else {}
    known = [("generator", settings.get("g_optimizer")), ("discriminator", settings.get("d_optimizer"))]
    states = checkpoint.get("optimizer_states") or []
    known += [(f"number {i}", None) for i in range(len(known), len(states))]
    try:
        return [_optimizer(network, node, state) for (network, node), state in zip(known, states, strict=False)]
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{path}: the state of its optimisers is damaged: give another checkpoint") from error


def _optimizer(network: str, node: Any, state: Mapping[str, Any]) -> OptimizerFacts:
    group = state["param_groups"][0]
    class_path = node.get("class_path") if isinstance(node, Mapping) else None
    tensors = [value for entry in state["state"].values() for value in entry.values() if isinstance(value, Tensor)]
    not_finite = sum(int((~check_plain("optimizer_states", tensor).isfinite()).sum()) for tensor in tensors)
    steps = [int(entry["step"]) for entry in state["state"].values() if "step" in entry]
    num_parameters = sum(len(one["params"]) for one in state["param_groups"])
    return OptimizerFacts(
        network,
        class_path and str(class_path),
        optimizer_settings(group),
        num_parameters,
        max(steps, default=None),
        not_finite,
    )


def optimizer_settings(group: Mapping[str, Any]) -> dict[str, Any]:
    """What is worth telling of a group's settings."""
    found = {name: group[name] for name in ("lr", "betas", "eps", "weight_decay") if name in group}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


# What stands beside a file.


def _beside(path: Path, facts: Mapping[str, Any], config: Any = None) -> dict[str, str]:
    """Files of the same folder that belong to this one, each with whether it agrees."""
    found = {}
    stands = path.with_name(CONFIG)
    if stands.is_file():
        same = not isinstance(config, str) or stands.read_text(encoding="utf-8", errors="replace") == config
        found[CONFIG] = (
            "as in the checkpoint" if same and config else "there" if same else "differs from the checkpoint"
        )
    else:
        found[CONFIG] = "none"
    for name in (LAST, GENERATOR, MODEL):
        other = path.with_name(name)
        if other != path and other.is_file():
            found[name] = _compared(other, facts.get("updates"))
    if path.name == LAST:
        found.setdefault(GENERATOR, "none")
    kept = sorted(one.name for one in path.parent.glob("kimg*.ckpt") if one != path)
    if kept:
        found["kept checkpoints"] = ", ".join(kept)
    return found


def _compared(other: Path, updates: int | None) -> str:
    """Whether a file is of the same update."""
    try:
        theirs = read_weights(other, wanted=()).facts.get("updates")
    except InputError as error:
        return f"cannot be read: {error}"
    if theirs is None or updates is None:
        return "of an unknown update"
    return "of the same update" if theirs == updates else f"of another update: {theirs:,}"
