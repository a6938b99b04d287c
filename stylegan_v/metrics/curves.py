"""The curves of a training run as one picture: a panel per scalar that TensorBoard recorded, or per score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stylegan_v.checkpoints import replacing

Curve = tuple[np.ndarray, np.ndarray]

_PANEL = (320, 200)
_MARGIN = (58, 24, 12, 22)  # left, top, right, bottom
_INK, _LINE, _GREY, _LEVEL = (40, 40, 40), (30, 100, 200), (215, 215, 215), (230, 150, 60)


def read_curves(run: Path) -> dict[str, Curve]:
    """Steps and values of every scalar in the event files below a run folder, by tag.

    Args:
        run: The folder; a tag that occurs in several of its folders is joined in the order of the steps.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    points: dict[str, dict[int, float]] = {}  # what a resumed run records again takes the place of the old
    for folder in sorted({path.parent for path in run.rglob("events.out.tfevents.*")}):
        events = EventAccumulator(str(folder), size_guidance={"scalars": 2000})
        events.Reload()
        for tag in events.Tags()["scalars"]:
            points.setdefault(tag, {}).update({event.step: event.value for event in events.Scalars(tag)})
    return {
        tag: (np.array(sorted(values), dtype=np.float64), np.array([values[step] for step in sorted(values)]))
        for tag, values in sorted(points.items())
    }


def draw_curves(run: Path, out: Path) -> Path | None:
    """Draws every curve of a run.

    Args:
        run: Folder with event files.
        out: The picture, png.

    Returns:
        ``out``, or None where nothing was recorded.
    """
    curves = {tag: curve for tag, curve in read_curves(run).items() if len(curve[0]) > 1 and tag != "epoch"}
    if not curves:
        return None
    with replacing(out) as file:
        panels(curves).save(file, format="png")
    return out


def draw_scores(records: Sequence[Mapping[str, Any]], out: Path) -> Path | None:
    """Draws the scores of a run over the thousands of frames it has seen, each with its floor: real against real.

    Args:
        records: Of `evaluation.Result`, with ``verb``, ``updates`` and ``kimg``; those of training are drawn, and of an
            update that was measured again, after resuming, the last one.
        out: The picture, png.

    Returns:
        ``out``, or None where there are none.
    """
    points: dict[str, dict[int, tuple[float, float, float]]] = {}
    for record in records:
        if record.get("verb") == "fit":
            floor = (record.get("sanity") or {}).get("real", math.nan)
            points.setdefault(record["protocol"], {})[record["updates"]] = (record["kimg"], record["value"], floor)
    if not points:
        return None
    tables = {name: np.array([by_update[n] for n in sorted(by_update)]).T for name, by_update in points.items()}
    curves = {name: (kimg, values) for name, (kimg, values, _) in tables.items()}
    with replacing(out) as file:
        panels(curves, levels={name: floor for name, (_, _, floor) in tables.items()}).save(file, format="png")
    return out


def draw_late(record: Mapping[str, Any], title: str, out: Path) -> Path | None:
    """Draws a score over the time at which fakes start, as far apart as they are many, beside its floor.

    Args:
        record: Of `evaluation.Result`.
        title: What it shows.
        out: The picture, png.

    Returns:
        ``out``, or None where no late starts were measured.
    """
    late = record["late"]
    if not late:
        return None
    floor = (record["sanity"] or {}).get("real", math.nan)
    places, values = np.arange(len(late), dtype=np.float64), np.array(list(late.values()))
    picture = panel(title, places, values, np.full(len(late), floor), ticks=list(late))
    with replacing(out) as file:
        picture.save(file, format="png")
    return out


def panels(
    curves: Mapping[str, Curve], columns: int = 4, levels: Mapping[str, np.ndarray] | None = None
) -> Image.Image:
    """A picture of panels, row by row.

    Args:
        curves: Steps and values by title.
        columns: Panels side by side.
        levels: Floors of the values [n], by title; of those that have one.
    """
    levels = levels or {}
    columns = min(columns, len(curves))
    rows = math.ceil(len(curves) / columns)
    picture = Image.new("RGB", (columns * _PANEL[0], rows * _PANEL[1]), "white")
    for i, (title, (steps, values)) in enumerate(curves.items()):
        picture.paste(
            panel(title, steps, values, levels.get(title)), (i % columns * _PANEL[0], i // columns * _PANEL[1])
        )
    return picture


def panel(
    title: str,
    steps: np.ndarray,
    values: np.ndarray,
    level: np.ndarray | None = None,
    ticks: Sequence[str] | None = None,
) -> Image.Image:
    """One curve with its title, last value and the ends of both axes; gaps where values are not finite.

    Args:
        title: What it shows.
        steps: [n], ascending.
        values: [n].
        level: Floor of the values [n], drawn as a lighter line; None, or not finite: none.
        ticks: What is written below each of the steps, which are marked then; None: only the ends, as numbers.
    """
    picture = Image.new("RGB", _PANEL, "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    left, top, right, bottom = _MARGIN[0], _MARGIN[1], _PANEL[0] - _MARGIN[2], _PANEL[1] - _MARGIN[3]
    both = values if level is None else np.concatenate([values, level])
    finite = both[np.isfinite(both)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    draw.rectangle((left, top, right, bottom), outline=_GREY)
    draw.text((left, 4), title, _INK, font)
    draw.text((right, 4), f"{values[-1]:.4g}", _LINE, font, anchor="ra")
    for y, value in ((top, high), (bottom, low)):
        draw.text((left - 4, y), f"{value:.3g}", _INK, font, anchor="rm")
    if level is not None and np.isfinite(level[-1]):
        draw.text((right - 4, top + 4), f"floor {level[-1]:.4g}", _LEVEL, font, anchor="ra")

    x = left + (steps - steps[0]) / max(steps[-1] - steps[0], 1e-12) * (right - left)
    for place, text in _below(x, steps, ticks):
        anchor = "la" if place == left else "ra" if place == right else "ma"
        draw.text((place, bottom + 4), text, _INK, font, anchor=anchor)
    for heights, colour in ((level, _LEVEL), (values, _LINE)):
        if heights is None:
            continue
        y = bottom - (heights - low) / max(high - low, 1e-12) * (bottom - top)
        for run in _finite_runs(x, y):
            draw.line(run, fill=colour, width=2) if len(run) > 1 else draw.circle(run[0], 2, fill=colour)
            for point in run if ticks is not None and heights is values else ():
                draw.circle(point, 3, fill=colour)
    return picture


def _below(x: np.ndarray, steps: np.ndarray, ticks: Sequence[str] | None) -> list[tuple[float, str]]:
    """Places and texts below the axis."""
    if ticks is not None:
        return list(zip(x.tolist(), ticks, strict=True))
    said = [f"{step:.0f}" if step == round(step) else f"{step:.4g}" for step in (steps[0], steps[-1])]
    return [(_MARGIN[0], said[0]), (_PANEL[0] - _MARGIN[2], said[1])]


def _finite_runs(x: np.ndarray, y: np.ndarray) -> list[Sequence[tuple[float, float]]]:
    """The points as runs without values that are not finite."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in zip(x.tolist(), y.tolist(), strict=True):
        if math.isfinite(point[1]):
            runs[-1].append(point)
        else:
            runs.append([])
    return [run for run in runs if run]
