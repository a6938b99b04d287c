"""Shapes of sprites as signed distances: negative inside, 0 on the outline, in units of the shape's radius.

Near the outline each one changes by 1 per unit of length, so that a clipped distance is an anti-aliased edge.

Shape legend
    ...     any axes; y and x broadcast together
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Coordinate = Float[np.ndarray, "..."]
SignedDistance = Callable[[Coordinate, Coordinate], Coordinate]


def disc(y: Coordinate, x: Coordinate) -> Coordinate:
    """Signed distance to a circle of radius 1; like all of these, negative inside."""
    return np.sqrt(x * x + y * y) - 1


def square(y: Coordinate, x: Coordinate) -> Coordinate:
    """Signed distance to a square with rounded corners, of nearly the area of the disc."""
    rounding = 0.2
    beyond_y, beyond_x = np.abs(y) - (0.9 - rounding), np.abs(x) - (0.9 - rounding)
    outside = np.sqrt(np.maximum(beyond_y, 0) ** 2 + np.maximum(beyond_x, 0) ** 2)
    return outside + np.minimum(np.maximum(beyond_y, beyond_x), 0) - rounding


def triangle(y: Coordinate, x: Coordinate) -> Coordinate:
    """Signed distance to an equilateral triangle: the farthest of its three edges, exact but near the corners."""
    return np.maximum(y, np.abs(x) * math.sqrt(0.75) - y / 2) - 0.7


def flower(y: Coordinate, x: Coordinate) -> Coordinate:
    """Distance to a flower with five petals, to first order."""
    distance, angle = np.sqrt(x * x + y * y), 5 * np.arctan2(y, x)
    return (distance - 1 - 0.25 * np.cos(angle)) / np.sqrt(1 + (1.25 * np.sin(angle)) ** 2)


SHAPES: tuple[SignedDistance, ...] = (disc, square, triangle, flower)
REACH = 1.4  # no shape, its corners included, is farther than this from its centre
