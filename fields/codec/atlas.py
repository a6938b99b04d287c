"""Many small pictures on one sheet, so that what every picture file costs by itself is paid once.

Shape legend
    C       channels: sheets of the same layout
    H, W    height and width of a sheet
    h, w    height and width of a picture
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from errors import InputError

BLOCK = 8  # what JPEG transforms together: no block holds two pictures


@dataclass(frozen=True)
class Layout:
    """Where pictures lie.

    Attributes:
        size: Height and width of the sheet.
        sizes: Height and width of each picture.
        places: Row and column of the first pixel of each.
    """

    size: tuple[int, int]
    sizes: tuple[tuple[int, int], ...]
    places: tuple[tuple[int, int], ...]


def layout(sizes: Sequence[tuple[int, int]], block: int = BLOCK) -> Layout:
    """Pictures on shelves, the highest first, on a sheet of the width that makes it smallest.

    Args:
        sizes: Height and width of each picture.
        block: Pictures begin at its multiples, along both sides.

    Raises:
        InputError: There are no pictures, or some are empty.
    """
    if not sizes or min(map(min, sizes)) < 1 or block < 1:
        raise InputError(f"pictures of {list(sizes)} in blocks of {block}: give at least one, of at least one pixel")
    boxes = [(_up(h, block), _up(w, block)) for h, w in sizes]
    widths = range(max(w for _, w in boxes), sum(w for _, w in boxes) + 1, block)
    found = [_shelves(boxes, width) for width in widths]
    size, places = min(found, key=lambda one: (one[0][0] * one[0][1], max(one[0])))
    return Layout(size, tuple(sizes), tuple(places))


def compose(pictures: Sequence[UInt8[np.ndarray, "C _ _"]], where: Layout) -> UInt8[np.ndarray, "C H W"]:
    """Sheets with the pictures; these go on beyond their borders up to the end of a block, the rest is grey.

    Args:
        pictures: As many channels of each.
        where: Of their sizes.
    """
    sheet = np.full((len(pictures[0]), *where.size), 128, np.uint8)
    for picture, (h, w), (y, x) in zip(pictures, where.sizes, where.places, strict=True):
        beyond = [(0, 0), (0, _up(h, BLOCK) - h), (0, _up(w, BLOCK) - w)]
        padded = np.pad(picture, beyond, mode="edge")[:, : where.size[0] - y, : where.size[1] - x]
        sheet[:, y : y + padded.shape[1], x : x + padded.shape[2]] = padded
    return sheet


def extract(sheet: UInt8[np.ndarray, "C H W"], where: Layout) -> list[UInt8[np.ndarray, "C _ _"]]:
    """The pictures of sheets; arguments as `compose` takes and gives them."""
    return [sheet[:, y : y + h, x : x + w] for (h, w), (y, x) in zip(where.sizes, where.places, strict=True)]


def _up(side: int, block: int) -> int:
    return -(-side // block) * block


def _shelves(boxes: Sequence[tuple[int, int]], width: int) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Size of the sheet, and the place of each box, when shelves are as wide as given."""
    places, top, left, shelf, used = [(0, 0)] * len(boxes), 0, 0, 0, 0
    for i in sorted(range(len(boxes)), key=lambda i: (-boxes[i][0], -boxes[i][1], i)):
        h, w = boxes[i]
        if left + w > width:
            top, left, shelf = top + shelf, 0, 0
        shelf = max(shelf, h)
        places[i], left = (top, left), left + w
        used = max(used, left)
    return (top + shelf, used), places
