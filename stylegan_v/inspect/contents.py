"""What a file of weights holds, of whichever form, as the readers of this room hand it over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from stylegan_v.inspect.tensors import check_plain
from stylegan_v.weights import NETWORKS, Weights

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
class Origin:
    """A setting of a file of the original.

    Attributes:
        value: Of the setting.
        source: "tensors" (their shapes tell), "embedded" (the file says so) or "assumed" (nothing tells).
    """

    value: Any
    source: str


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
        sha256: Of the file, where reading it found out.
        optimizers: Those that are stored.
        origins: Of a file of the original: its settings by name, and where each comes from.
        embedded: Of a file of the original: what it says beside its tensors.
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
    sha256: str | None = None
    optimizers: list[OptimizerFacts] = field(default_factory=list)
    origins: dict[str, Origin] = field(default_factory=dict, repr=False)
    embedded: dict[str, Any] = field(default_factory=dict, repr=False)
    bad_in_a_row: dict[str, int] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


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


def optimizer_settings(group: Mapping[str, Any]) -> dict[str, Any]:
    """What is worth telling of a group's settings."""
    found = {name: group[name] for name in ("lr", "betas", "eps", "weight_decay") if name in group}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def count_not_finite(values: Iterable[Any]) -> int:
    """How many NaN and infinite values the tensors among ``values`` hold.

    Raises:
        InputError: One of them is no plain tensor.
    """
    tensors = [check_plain("a moment", value) for value in values if isinstance(value, Tensor)]
    return sum(int((~tensor.isfinite()).sum()) for tensor in tensors)
