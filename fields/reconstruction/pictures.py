"""Figures per frame as a picture: a panel per measure, a line per video."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fields.reconstruction.report import Reconstruction

_PANEL = (640, 220)
_MARGIN = (58, 24, 12, 22)  # left, top, right, bottom
_INK, _GREY = (40, 40, 40), (215, 215, 215)
_LINES = ((30, 100, 200), (200, 70, 40), (40, 140, 70), (140, 70, 170), (160, 120, 20), (20, 150, 160), (120, 120, 120))


def draw(videos: Sequence[Reconstruction]) -> Image.Image:
    """All panels below one another.

    Args:
        videos: At least one; colours repeat after seven.
    """
    names = list(dict.fromkeys(name for video in videos for name in video.frames))
    picture = Image.new("RGB", (_PANEL[0], _PANEL[1] * max(len(names), 1)), "white")
    for row, name in enumerate(names):
        curves = {video.name: video.frames[name] for video in videos if name in video.frames}
        picture.paste(panel(f"{name} per frame", curves), (0, row * _PANEL[1]))
    return picture


def panel(title: str, curves: dict[str, np.ndarray]) -> Image.Image:
    """Curves over the frame number, with the ends of both axes; gaps where values are not finite.

    Args:
        title: What is shown.
        curves: By name, each [F]; the names of a few are written beside the title.
    """
    picture = Image.new("RGB", _PANEL, "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    left, top, right, bottom = _MARGIN[0], _MARGIN[1], _PANEL[0] - _MARGIN[2], _PANEL[1] - _MARGIN[3]
    finite = np.concatenate([values[np.isfinite(values)] for values in curves.values()])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    last = max(len(values) for values in curves.values()) - 1
    pen.rectangle((left, top, right, bottom), outline=_GREY)
    pen.text((left, 4), title, _INK, font)
    for y, value in ((top, high), (bottom, low)):
        pen.text((left - 4, y), f"{value:.4g}", _INK, font, anchor="rm")
    for x, number, anchor in ((left, 0, "la"), (right, last, "ra")):
        pen.text((x, bottom + 4), str(number), _INK, font, anchor=anchor)
    for index, (name, values) in enumerate(curves.items()):
        color = _LINES[index % len(_LINES)]
        if len(curves) <= len(_LINES):
            pen.text((left + 150 + 60 * index, 4), name[: 8 if len(curves) > 1 else 60], color, font)
        x = left + np.arange(len(values)) / max(last, 1) * (right - left)
        y = bottom - (np.where(np.isfinite(values), values, low) - low) / max(high - low, 1e-12) * (bottom - top)
        _line(pen, np.stack((x, y), axis=1), np.isfinite(values), color)
    return picture


def _line(pen: ImageDraw.ImageDraw, points: np.ndarray, shown: np.ndarray, color: tuple[int, int, int]) -> None:
    """Joins neighbours that are both shown; dots mark the others, so that a single frame is seen too."""
    for index in np.flatnonzero(shown):
        x, y = points[index].tolist()
        pen.ellipse((x - 1, y - 1, x + 1, y + 1), fill=color)
        if index + 1 < len(points) and shown[index + 1]:
            pen.line((x, y, *points[index + 1].tolist()), fill=color, width=2)
