"""How measurements of a fit are said and kept: lines in the log and the run folder, curves and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from torch import nn

from datasets.files import atomic_path

RESULTS, SAMPLES = "validation.jsonl", "samples"


class Stopped(Exception):
    """Somebody wants the run to end, while it is measured."""


def evenly(total: int, count: int) -> list[int]:
    """At most ``count`` whole numbers below ``total``, spread evenly from the first to the last."""
    return np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist()


def words(line: Mapping[str, Any], of: str) -> str:
    """A measurement with means and spreads in a line, for the log.

    Args:
        line: Plain values.
        of: What was measured: the key of its number.
    """
    parts = [f"update {line['updates']}:"]
    for name, value in line.items():
        if isinstance(value, dict):
            numbers = [f"{n:.4g}" if isinstance(n, float) else str(n) for n in (value["mean"], value["std"])]
            parts.append(f"{name} {' +- '.join(numbers)}")
    return "  ".join([*parts, f"({line[of]} {of})"])


def add_line(folder: Path, line: Mapping[str, Any]) -> None:
    """Adds a measurement to those of a run.

    Args:
        folder: Of the run.
        line: Plain values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / RESULTS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def add_scalars(trainer: Any, scalars: Mapping[str, float], step: int) -> None:
    """Adds points to curves, by all loggers.

    Args:
        trainer: Whose loggers.
        scalars: By name; what is no float is left out.
        step: Updates.
    """
    found = {name: value for name, value in scalars.items() if isinstance(value, float)}
    for logger in trainer.loggers:
        logger.log_metrics(found, step=step)


def add_picture(fit: Any, name: str, picture: UInt8[np.ndarray, "H W 3"], in_logs: bool = True) -> None:
    """Keeps a picture of the state at hand: as PNG beside the run's samples, and in TensorBoard.

    Args:
        fit: With its trainer, and a count of updates.
        name: Of the picture.
        picture: Which.
        in_logs: In TensorBoard, too.
    """
    path = Path(fit.trainer.default_root_dir) / SAMPLES / f"{name}_{fit.updates:07d}.png"
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, "PNG")
    if in_logs:
        add_image(fit.trainer, name, picture, fit.updates)


def add_image(trainer: Any, tag: str, picture: UInt8[np.ndarray, "H W 3"], step: int) -> None:
    """Shows a picture in TensorBoard, where that is there.

    Args:
        trainer: Whose loggers.
        tag: Name of the picture.
        picture: Which.
        step: Updates.
    """
    for logger in trainer.loggers:
        if hasattr(logger.experiment, "add_image"):
            logger.experiment.add_image(tag, picture, step, dataformats="HWC")


def size_of(field: nn.Module) -> dict[str, int]:
    """How large a field is: trained parameters, and bits that they take.

    Args:
        field: Its parameters that go through a quantiser take the bits of that, the others those of their numbers.
    """
    from fields.codec.symbols import quantisers

    stepped, trained = quantisers(field), dict(field.named_parameters())
    each = {name: stepped[name].bits if name in stepped else 8 * one.element_size() for name, one in trained.items()}
    counts = {name: one.numel() for name, one in trained.items()}
    return {"parameters": sum(counts.values()), "bits": sum(each[name] * counts[name] for name in trained)}
