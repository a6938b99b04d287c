"""The curves of generated and of real videos over one another, as one picture of panels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from stylegan_v.checkpoints import replacing

_PANEL, _MARGIN = (460, 300), (64, 40, 16, 44)  # width, height; left, top, right, bottom
_INK, _GRID, _COLOURS = (40, 40, 40), (225, 225, 225), ((200, 60, 40), (30, 100, 200))
_COLUMNS, _TICKS, _ENLARGED = 2, 5, 2


@dataclass(frozen=True)
class Curve:
    """One line of a panel.

    Attributes:
        label: What it is of.
        x: Ascending.
        y: nan leaves a gap.
    """

    label: str
    x: Float[np.ndarray, " n"]
    y: Float[np.ndarray, " n"]


@dataclass(frozen=True)
class Panel:
    """A diagram.

    Attributes:
        title: What is shown.
        x: Name of the axis, with its unit.
        curves: At most 2, each with a finite value.
    """

    title: str
    x: str
    curves: Sequence[Curve]

    def values(self) -> dict[str, Any]:
        """What is shown, as plain numbers."""
        lines = {curve.label: {"x": curve.x.tolist(), "y": curve.y.tolist()} for curve in self.curves}
        return {"x_axis": self.x, **lines}


def save_panels(path: Path, panels: Sequence[Panel]) -> Path:
    """Leaves a PNG of the panels, two in a row; whole or not at all."""
    rows = math.ceil(len(panels) / _COLUMNS)
    size = (_PANEL[0] * min(_COLUMNS, len(panels)), _PANEL[1] * rows)
    picture = Image.new("RGB", (size[0] * _ENLARGED, size[1] * _ENLARGED), "white")
    for i, panel in enumerate(panels):
        row, column = divmod(i, _COLUMNS)
        picture.paste(draw_panel(panel), (column * _PANEL[0] * _ENLARGED, row * _PANEL[1] * _ENLARGED))
    with replacing(path) as file:
        picture.save(file, format="png")
    return path


def draw_panel(panel: Panel) -> Image.Image:
    """One diagram with titles, a legend, and a few round numbers at both axes."""
    width, height = (side * _ENLARGED for side in _PANEL)
    left, top, right, bottom = (side * _ENLARGED for side in _MARGIN)
    picture = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(12 * _ENLARGED)
    box = (left, top, width - right, height - bottom)
    spans = [_span(np.concatenate([getattr(curve, axis) for curve in panel.curves])) for axis in "xy"]

    # Axes.
    for value in _ticks(*spans[0]):
        x = _place(value, spans[0], box[0], box[2])
        draw.line((x, box[1], x, box[3]), fill=_GRID)
        draw.text((x, box[3] + 4 * _ENLARGED), f"{value:g}", _INK, font, anchor="ma")
    for value in _ticks(*spans[1]):
        y = _place(value, spans[1], box[3], box[1])
        draw.line((box[0], y, box[2], y), fill=_GRID)
        draw.text((box[0] - 4 * _ENLARGED, y), f"{value:g}", _INK, font, anchor="rm")
    draw.rectangle(box, outline=_INK)
    draw.text((left, 6 * _ENLARGED), panel.title, _INK, font)
    draw.text(((box[0] + box[2]) / 2, height - 4 * _ENLARGED), panel.x, _INK, font, anchor="mb")

    # Curves.
    for i, (curve, colour) in enumerate(zip(panel.curves, _COLOURS, strict=False)):
        draw.text((left + i * 60 * _ENLARGED, 22 * _ENLARGED), curve.label, colour, font)
        x, y = _place(curve.x, spans[0], box[0], box[2]), _place(curve.y, spans[1], box[3], box[1])
        for n in range(len(x) - 1):
            if np.isfinite(y[n : n + 2]).all():
                draw.line((x[n], y[n], x[n + 1], y[n + 1]), fill=colour, width=_ENLARGED)
    return picture


def _span(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """From the least to the largest finite value, never empty."""
    finite = values[np.isfinite(values)]
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _ticks(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _place(value: np.ndarray | float, span: tuple[float, float], start: float, stop: float) -> np.ndarray | float:
    return start + (value - span[0]) / (span[1] - span[0]) * (stop - start)
