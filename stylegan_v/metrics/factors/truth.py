"""What a synthetic clip shows, as targets: of appearance, of motion, and of the order of its frames.

Everything is told of the clip as it is shown: a reversed clip moves backwards, a frozen one not at all. Of several
sprites the mean is told, which does not depend on their order; a class that two sprites do not share is shared between
their classes. What a clip does not show is not asked for: a class is then spread evenly, a value is NaN.

Shape legend
    T       frames of a clip
    S       sprites
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float64

from datasets.synthetic import Factors
from stylegan_v.metrics.detectors.factors import CLASSES

Order = Literal["forwards", "reversed", "shuffled", "frozen"]
ORDERS: tuple[Order, ...] = ("forwards", "reversed", "shuffled", "frozen")
# About the spread of each value, so that all weigh alike; the middle of those that lie around none; units, for people.
SCALES = {
    "position": 0.6,
    "velocity": 0.013,
    "speed": 0.014,
    "pace": 0.5,
    "spin": 0.04,
    "size": 0.033,
    "colour": 0.2,
    "background": 0.1,
    "scroll": 0.016,
}
CENTRES = {"speed": 0.02, "size": 0.195, "colour": 0.5, "background": 0.28}
UNITS = {
    "position": "of the circle's radius",
    "velocity": "sides per frame",
    "speed": "sides per frame",
    "pace": "of the mean speed",
    "spin": "radians per frame",
    "size": "sides",
    "colour": "of the range",
    "background": "of the range",
    "scroll": "sides per frame",
}
_OCTANTS = CLASSES["direction"]


def truth_of(factors: Factors, side: float, order: Order, points: bool) -> dict[str, np.ndarray]:
    """Targets of one clip.

    Args:
        factors: Ground truth at the times of the frames, in the order in which they are shown.
        side: Height and width of the frames, in pixels.
        order: How they are ordered.
        points: Whether its scene begins with this clip: every sprite then points where it is going, and the clip tells
            whether time runs forwards.

    Returns:
        Of classes probabilities, of values the distance from `CENTRES` in units of `SCALES`, float32; as many numbers
        as `CLASSES` and `VALUES` say.
    """
    positions = factors.positions / side
    steps = (np.diff(positions, axis=0) + 0.5) % 1 - 0.5  # [T - 1, S, 2]: the short way around the torus
    found = {
        "shape": np.eye(CLASSES["shape"])[list(factors.shapes)].mean(axis=0),
        "direction": _directions(steps) if order in ("forwards", "reversed") else np.full(_OCTANTS, 1 / _OCTANTS),
        "order": _orders(order, points),
        "count": np.eye(CLASSES["count"])[len(factors.shapes) - 1],
        "size": factors.radii.mean(keepdims=True) / side,
        "colour": factors.colours.mean(axis=(0, 1)) * factors.light.mean(),
        "background": factors.background.mean(axis=0) * factors.light.mean(),
        "position": _on_circles(positions).mean(axis=(0, 1)),
        **_motion(factors, steps, side, order),
    }
    scaled = {name: (value - CENTRES.get(name, 0)) / SCALES.get(name, 1) for name, value in found.items()}
    return {name: value.astype(np.float32) for name, value in scaled.items()}


def _directions(steps: Float64[np.ndarray, "steps S 2"]) -> np.ndarray:
    """Shares of the octants in which sprites go, on the way from the first to the last frame."""
    y, x = steps.sum(axis=0).T
    octants = np.rint(np.arctan2(y, x) / (2 * np.pi) * _OCTANTS).astype(int) % _OCTANTS
    return np.eye(_OCTANTS)[octants].mean(axis=0)


def _orders(order: Order, points: bool) -> np.ndarray:
    """Probabilities of each order: reversed, the laws of motion are the same, and only a beginning tells."""
    told = np.eye(len(ORDERS))[ORDERS.index(order)]
    if order in ("forwards", "reversed") and not points:
        return np.array([0.5, 0.5, 0, 0])
    return told


def _on_circles(positions: Float64[np.ndarray, "T S 2"]) -> Float64[np.ndarray, "T S 4"]:
    """Places on the torus as points of two circles: cosines of y and x, then their sines."""
    return np.concatenate([np.cos(2 * np.pi * positions), np.sin(2 * np.pi * positions)], axis=2)


def _motion(
    factors: Factors, steps: Float64[np.ndarray, "steps S 2"], side: float, order: Order
) -> dict[str, np.ndarray]:
    """How sprites and background move, per frame; of shuffled frames nothing is told, of a frozen one no pace."""
    if order == "shuffled":
        return {name: np.full(width, np.nan) for name, width in _MOVING.items()}
    speeds = np.linalg.norm(steps, axis=2).mean(axis=1)  # [T - 1]
    half = len(speeds) // 2
    gain = speeds[-half:].mean() - speeds[:half].mean()
    return {
        "velocity": steps.mean(axis=(0, 1)),
        "speed": speeds.mean(keepdims=True),
        "pace": np.array([np.nan if order == "frozen" else gain / speeds.mean()]),
        "spin": np.diff(factors.angles, axis=0).mean(keepdims=True)[0],
        "scroll": np.diff(factors.scroll, axis=0).mean(axis=0) / side,
    }


_MOVING = {"velocity": 2, "speed": 1, "pace": 1, "spin": 1, "scroll": 2}
