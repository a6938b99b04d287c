"""What is shown: which part of an image, at how many pixels.

Places are counted in pixels of the source from its upper left corner, so that pixel i is centred at ``i + 0.5``.

Shape legend
    N       pixels of the result along an axis
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from errors import InputError

_MAX_SCALE = 1e6  # whether memory holds the result is another question


@dataclass(frozen=True)
class Axis:
    """Pixels of a result along one axis of the source.

    Attributes:
        length: Pixels of the whole source.
        start: Where the result begins, in pixels of the source.
        step: Distance of its pixels, in pixels of the source; below 1 it is magnified.
        count: Its pixels.
    """

    length: int
    start: float
    step: float
    count: int

    def positions(self) -> Float64[np.ndarray, " N"]:
        """Where the pixels' centres are."""
        return self.start + (np.arange(self.count) + 0.5) * self.step

    def not_reduced(self) -> Axis:
        """The same stretch with at least as many pixels as the source has there."""
        count = max(self.count, math.ceil(self.count * self.step - 1e-9))
        return replace(self, step=self.count * self.step / count, count=count)


@dataclass(frozen=True)
class View:
    """What is shown of an image."""

    rows: Axis
    columns: Axis

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the result."""
        return self.rows.count, self.columns.count

    @property
    def magnifies(self) -> bool:
        """Whether there is anything for a model to do; it is asked for the size of the source as well."""
        steps = self.rows.step, self.columns.step
        return min(steps) < 1 or max(steps) == 1

    def not_reduced(self) -> View:
        """The view to compute where one side is magnified; the other is reduced from this, with antialiasing."""
        return View(self.rows.not_reduced(), self.columns.not_reduced())

    @property
    def box(self) -> tuple[float, float, float, float]:
        """What is shown, as (left, upper, right, lower) in pixels of the source."""
        rows, columns = self.rows, self.columns
        lower, right = rows.start + rows.count * rows.step, columns.start + columns.count * columns.step
        return columns.start, rows.start, min(right, columns.length), min(lower, rows.length)


@dataclass(frozen=True)
class Zoom:
    """A part of an image.

    Attributes:
        x: Its centre from the left, in [0, 1] of the width.
        y: Its centre from the top, in [0, 1] of the height.
        factor: How many times smaller than the image it is to each side, from 1 on.
    """

    x: float
    y: float
    factor: float


@dataclass(frozen=True)
class Target:
    """Which size and part of every image is wanted.

    Attributes:
        scale: Magnification of the whole; None: as the size says, or 1 where a part is zoomed to.
        size: Height and width of the result, instead.
        zoom: The part that is shown; None: all.
    """

    scale: float | None = None
    size: tuple[int, int] | None = None
    zoom: Zoom | None = None

    def view(self, size: tuple[int, int], multiple: int = 1) -> View:
        """The view of an image.

        Args:
            size: Height and width of the image.
            multiple: Sides of the result are rounded to multiples of this.
        """
        height, width = self.size or (side * (self.scale or 1) for side in size)
        x, y, factor = (self.zoom.x, self.zoom.y, self.zoom.factor) if self.zoom else (0.5, 0.5, 1.0)
        rows = _axis(size[0], y, factor, _rounded(height, multiple))
        return View(rows, _axis(size[1], x, factor, _rounded(width, multiple)))


def parse_target(scale: float | None, size: str | None, zoom: str | None) -> Target:
    """The target that flags ask for.

    Raises:
        InputError: Nothing is asked for, two things that exclude one another, or what cannot be.
    """
    if scale is not None and size is not None:
        raise InputError("size: scale is given as well: give one of the two")
    if scale is None and size is None and zoom is None:
        raise InputError("scale: nothing says how large: give --scale 3.7, --size 1920x1080 or --zoom 0.5,0.5,4")
    if scale is not None and not 0 < scale <= _MAX_SCALE:
        raise InputError(f"scale: {scale:g}: give a number above 0 and up to {_MAX_SCALE:g}, such as 3.7")
    return Target(scale, None if size is None else _parse_size(size), None if zoom is None else _parse_zoom(zoom))


def _parse_size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    # Nine digits are more pixels than anything has; `isdecimal` alone would take digits of other scripts.
    if len(sides) != 2 or not all(side.isascii() and side.isdecimal() and len(side) <= 9 for side in sides):
        raise InputError(f"size: {text[:40]}: give width and height in pixels, such as 1920x1080")
    width, height = map(int, sides)
    if not width * height:
        raise InputError(f"size: {text}: has no pixels: give at least 1x1")
    return height, width


def _parse_zoom(text: str) -> Zoom:
    try:
        x, y, factor = map(float, text.split(","))
    except ValueError as error:
        raise InputError(f"zoom: {text[:40]}: give centre and factor, such as 0.5,0.25,4") from error
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise InputError(f"zoom: {text[:40]}: give the centre in [0, 1], x from the left and y from the top")
    if not 1 <= factor < math.inf:
        raise InputError(f"zoom: {text[:40]}: give a factor from 1 on, which magnifies")
    return Zoom(x, y, factor)


def _rounded(side: float, multiple: int) -> int:
    return max(1, math.floor(side / multiple + 0.5)) * multiple


def _axis(length: int, centre: float, factor: float, count: int) -> Axis:
    """The window of an axis around its centre, moved inside of the image where it would leave it."""
    shown = length / factor
    start = min(max(centre * length - shown / 2, 0.0), length - shown)
    return Axis(length, start, shown / count, count)
