"""Curves over an axis as a picture.

Shape legend
    N       points of a curve
    H, W    height and width
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

_SIZE, _MARGIN = (640, 260), (64, 26, 14, 26)  # left, top, right, bottom
_INK, _GREY = (40, 40, 40), (205, 205, 205)
_LINES = ((30, 100, 200), (200, 70, 40), (40, 140, 70), (140, 70, 170), (160, 120, 20), (20, 150, 160), (120, 120, 120))

Curve = tuple[Sequence[float], Sequence[float]]


def plot(title: str, curves: Mapping[str, Curve]) -> UInt8[np.ndarray, "H W 3"]:
    """Curves in one frame, with the ends of both axes and their names; what is not finite is left out.

    Args:
        title: What is shown.
        curves: By name, x and y of their points.
    """
    picture = Image.new("RGB", _SIZE, "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    left, top, right, bottom = _MARGIN[0], _MARGIN[1], _SIZE[0] - _MARGIN[2], _SIZE[1] - _MARGIN[3]
    pen.rectangle((left, top, right, bottom), outline=_GREY)
    pen.text((left, 6), title, _INK, font)
    points = {name: _finite(*curve) for name, curve in curves.items()}
    together = np.concatenate([*points.values(), np.zeros((0, 2))])
    low, high = (together.min(axis=0), together.max(axis=0)) if len(together) else (np.zeros(2), np.ones(2))
    for index, place in ((1, top), (1, bottom)):
        value = (high if place == top else low)[index]
        pen.text((left - 4, place), f"{value:.4g}", _INK, font, anchor="rm")
    for place, value, anchor in ((left, low[0], "la"), (right, high[0], "ra")):
        pen.text((place, bottom + 6), f"{value:.6g}", _INK, font, anchor=anchor)
    extent = np.where(high > low, high - low, 1.0)
    x = right
    for index, (name, curve) in reversed(list(enumerate(points.items()))):
        color = _LINES[index % len(_LINES)]
        placed = (curve - low) / extent * [right - left, top - bottom] + [left, bottom]
        pen.line([tuple(point) for point in placed.tolist()], fill=color, width=2)
        pen.text((x, 6), name, color, font, anchor="ra")
        x -= round(pen.textlength(name, font)) + 12
    return np.array(picture)


def _finite(x: Sequence[float], y: Sequence[float]) -> np.ndarray:
    points = np.stack((np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)), axis=1)
    return points[np.isfinite(points).all(axis=1)]
