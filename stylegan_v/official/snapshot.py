"""A released StyleGAN-V training snapshot as plain values: nothing that the file carries is run or imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class OptimizerState:
    """What a stored Adam holds.

    Attributes:
        settings: Of its one group: ``lr``, ``betas``, ``eps``, ... as stored, so after the correction for lazy
            regularisation.
        moments: By official parameter name: ``step`` (a plain number), ``exp_avg`` and ``exp_avg_sq``. Parameters
            that never had a gradient have no entry.
    """

    settings: dict[str, Any]
    moments: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Snapshot:
    """Tensors and settings of a training snapshot of the original, under the original's names.

    Attributes:
        path: Where it was read from.
        sha256: Of the file, as hexadecimal digits.
        networks: "G", "D" and "G_ema", each its official tensor names in the original's order.
        parameters: Of each network, the names that are parameters; the others are buffers.
        config: The complete settings of the run, or None where the networks carry none. A reference that could not be
            resolved is left as its text ``"${...}"`` and listed in `skipped`.
        init_kwargs: Of "G" and "D", the named arguments that they were constructed with.
        sampling: The settings of frame sampling that the generator carries; empty where it carries none.
        augment: "p" and the multipliers of the augmentation pipe, or None where there was none.
        optimizers: Of "G_opt" and "D_opt", those that are stored.
        stats: Counters: "cur_nimg" (frames), "cur_tick", "batch_idx"; empty where none are stored.
        training_set: The arguments of the data set; empty where none are stored.
        skipped: What was left unread, and why, one line each.
    """

    path: Path
    sha256: str
    networks: dict[str, dict[str, Tensor]]
    parameters: dict[str, tuple[str, ...]]
    config: dict[str, Any] | None
    init_kwargs: dict[str, dict[str, Any]]
    sampling: dict[str, Any]
    augment: dict[str, float] | None
    optimizers: Mapping[str, OptimizerState]
    stats: dict[str, int]
    training_set: dict[str, Any]
    skipped: tuple[str, ...]


def read_snapshot(path: str | Path) -> Snapshot:
    """A released snapshot, read without executing, importing or writing anything from the file.

    Args:
        path: A ``network-snapshot-NNNNNN.pkl`` of the original.

    Raises:
        InputError: The file is no such snapshot, is damaged, or asks for anything but plain values and tensors.
    """
    raise NotImplementedError(path)
