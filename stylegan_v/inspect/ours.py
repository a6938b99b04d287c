"""What files of this project hold: checkpoints of runs, and networks or a generator with their config beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from errors import InputError
from plain_config import parse_config
from stylegan_v.checkpoints import read_checkpoint, read_config
from stylegan_v.inspect.beside import beside
from stylegan_v.inspect.contents import Contents, OptimizerFacts, count_not_finite, optimizer_settings, split
from stylegan_v.pretrained import read_model
from stylegan_v.weights import CONFIG, Weights, checkpoint_facts

_VERSIONS = {"pytorch-lightning": "pytorch-lightning_version", "torch": "torch_version"}


def of_safetensors(path: Path, state: Mapping[str, Any], metadata: Mapping[str, str]) -> Contents:
    """The contents of a model.safetensors or generator.safetensors; without its config, the tensors alone.

    Args:
        path: The file.
        state: Its tensors.
        metadata: Its own.
    """
    notes: list[str] = []
    weights = _weights(path, notes)
    facts = weights.facts if weights else {}
    config = path.with_name(CONFIG)
    return Contents(
        path,
        "model" if any(name.startswith("discriminator.") for name in state) else "generator",
        split(state),
        weights,
        config=parse_config(config.read_text(encoding="utf-8", errors="replace"), config) if weights else {},
        facts=facts,
        written_by={name: text for name, text in metadata.items() if name != "facts"},
        beside=beside(path, facts),
        notes=notes,
    )


def of_checkpoint(path: Path) -> Contents:
    """The contents of a Lightning checkpoint; without a config, tensors and counters alone.

    Raises:
        InputError: It is no checkpoint, or a damaged one.
    """
    notes: list[str] = []
    checkpoint = read_checkpoint(path, mmap=True)
    weights = _weights(path, notes)
    config = read_config(checkpoint, path) if isinstance(checkpoint.get("config"), str) else {}
    counters = checkpoint.get("counters")
    counters = counters if isinstance(counters, dict) else {}
    facts, bad = checkpoint_facts(checkpoint, config), counters.get("bad_in_a_row")
    versions = {name: checkpoint.get(key) for name, key in _VERSIONS.items()}
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
        beside=beside(path, facts, checkpoint.get("config")),
        notes=notes,
    )


def _weights(path: Path, notes: list[str]) -> Weights | None:
    """The networks of a file whose tensors can be read; where the rest does not suffice, a note says so."""
    try:
        return read_model(path)
    except InputError as error:
        notes.append(f"networks cannot be built: {error}")
        return None


def _optimizers(checkpoint: Mapping[str, Any], weights: Weights | None, path: Path) -> list[OptimizerFacts]:
    """The optimisers of a checkpoint, in the order in which the model makes them."""
    settings = weights.model["init_args"] if weights else {}
    known = [("generator", settings.get("g_optimizer")), ("discriminator", settings.get("d_optimizer"))]
    states = checkpoint.get("optimizer_states") or []
    known += [(f"number {i}", None) for i in range(len(known), len(states))]
    try:
        return [_optimizer(network, node, state) for (network, node), state in zip(known, states, strict=False)]
    except InputError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: the state of its optimisers is damaged: give another checkpoint") from error


def _optimizer(network: str, node: Any, state: Mapping[str, Any]) -> OptimizerFacts:
    class_path = node.get("class_path") if isinstance(node, Mapping) else None
    entries = list(state["state"].values())
    return OptimizerFacts(
        network,
        class_path and str(class_path),
        optimizer_settings(state["param_groups"][0]),
        sum(len(group["params"]) for group in state["param_groups"]),
        max((int(entry["step"]) for entry in entries if "step" in entry), default=None),
        count_not_finite(value for entry in entries for value in entry.values()),
    )
