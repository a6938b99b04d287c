"""What is wrong, or odd, about the numbers of a model: values that no sound run leaves behind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from stylegan_v.inspect.tensors import TensorRow

# What starts at zero and may stay there.
_MAY_BE_ZERO = re.compile(r"(.*\.)?(bias\w*|noise_strength)")
# What moves, going by its name, where nothing else tells.
_MOVES = re.compile(r"(.*\.)?(weight|const|bias)")
# Layers with a learning rate multiplier of 0.01 keep weights 100 times as large as the ones they compute with.
_SCALED_UP = re.compile(r"(.*\.)?(mapping\.(layers\.|fc)\d+|motion\w*\.conv\.\d+)\.weight")
_SCALE_UP = 100.0
_LARGE = 100.0
# Above this, augmentation shows in the samples (StyleGAN2-ADA, Karras et al. 2020, section 2.2).
_STRONG_AUGMENTATION = 0.8


@dataclass(frozen=True)
class Mark:
    """One finding.

    Attributes:
        level: "bad" spoils what the model draws or learns; "note" is worth knowing.
        where: Tensor, network or number it is about.
        what: The finding.
    """

    level: Literal["bad", "note"]
    where: str
    what: str


def tensor_marks(rows: Iterable[TensorRow]) -> list[Mark]:
    """What each tensor shows by itself: not finite, all zero, or far larger than what training starts from."""
    return [mark for row in rows for mark in (_not_finite(row), _zero(row), _large(row)) if mark]


def _not_finite(row: TensorRow) -> Mark | None:
    bad = row.spread.not_finite
    if not bad:
        return None
    return Mark("bad", f"{row.network}.{row.name}", f"{bad:,} of {row.spread.count:,} values are NaN or infinite")


def _zero(row: TensorRow) -> Mark | None:
    if row.spread.rms != 0 or row.spread.not_finite or not _moves(row) or _MAY_BE_ZERO.fullmatch(row.name):
        return None
    return Mark("bad", f"{row.network}.{row.name}", "all zero: nothing passes through it")


def _moves(row: TensorRow) -> bool:
    return bool(_MOVES.fullmatch(row.name)) if row.parameter is None else row.parameter


def _large(row: TensorRow) -> Mark | None:
    start = _SCALE_UP if _SCALED_UP.fullmatch(row.name) else 1.0
    rms = row.spread.rms
    if rms is None or not _moves(row) or rms <= _LARGE * start:
        return None
    return Mark("bad", f"{row.network}.{row.name}", f"RMS {rms:.3g}, training starts at about {start:g}: exploding")


def generator_marks(
    raw: Mapping[str, Tensor] | None, averaged: Mapping[str, Tensor] | None, updates: int | None
) -> list[Mark]:
    """What generator and averaged generator show together.

    Args:
        raw: State dict of the generator; None where it is not there.
        averaged: State dict of the averaged one; None where it is not there.
        updates: Of training; None where it is not known.
    """
    marks = []
    w_avg = next((state["mapping.w_avg"] for state in (averaged, raw) if state and "mapping.w_avg" in state), None)
    if w_avg is not None and not w_avg.any():
        level = "note" if updates == 0 else "bad"
        marks.append(Mark(level, "mapping.w_avg", "zero: the mean style was never tracked, do not truncate"))
    if (
        raw
        and averaged
        and raw.keys() == averaged.keys()
        and all(torch.equal(raw[name], averaged[name]) for name in raw)
    ):
        level = "note" if updates is not None and updates <= 1 else "bad"  # the average begins as a copy
        marks.append(Mark(level, "averaged generator", "equal to the generator in every value: never averaged"))
    return marks


def run_marks(facts: Mapping[str, Any], bad_in_a_row: Mapping[str, int], optimizers: Iterable[Any]) -> list[Mark]:
    """What the run says of itself: strong augmentation, skipped steps, spoilt optimisers.

    Args:
        facts: Plain values of the run.
        bad_in_a_row: Steps skipped in a row up to the end, by phase.
        optimizers: With ``network`` and ``not_finite``.
    """
    marks = []
    if (p := facts.get("augment_p")) is not None and p > _STRONG_AUGMENTATION:
        marks.append(Mark("note", "augment p", f"{p:.3g}: so strong that it may show in samples; more data would help"))
    for phase, count in bad_in_a_row.items():
        if count:
            marks.append(
                Mark("bad", f"phase {phase}", f"the last {count} steps were skipped: loss or gradient not finite")
            )
    for optimizer in optimizers:
        if optimizer.not_finite:
            what = f"{optimizer.not_finite:,} values of its moments are NaN or infinite"
            marks.append(Mark("bad", f"optimiser of {optimizer.network}", what))
    return marks
