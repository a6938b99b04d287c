"""Exact images made on the fly from a seed, in three families: text, gratings and shapes.

They are what super-resolution is tried on without a download: strokes and edges that a good model sharpens, and waves
that it must bring back. Lengths are in pixels of the image; a larger image shows more, not larger, things. The same
seed gives the same bytes (text: with the same Pillow and FreeType).

Shape legend
    H, W    height and width
"""

from __future__ import annotations

import math
import string
import zlib
from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image, ImageDraw, ImageFont

from errors import InputError

FINEST_SCALE = 4
# Seeds of every family that no training image has: training takes those from 0 up to the first of them.
HELD_OUT: tuple[int, ...] = tuple(range(1_000_000, 1_000_020))

_SUPERSAMPLING = 4  # edges are drawn so many times larger and averaged
_MAX_SIDE = 2048
_CHARACTERS = string.ascii_letters + string.digits + "&?!%+="
# In shares of the Nyquist rate of an image reduced by FINEST_SCALE. Slower waves are no task: bicubic has them already.
_GRATING_RATES = (0.3, 0.9)

Colour = tuple[int, int, int]


def synthetic_image(family: str, seed: int, size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """The image of a seed.

    Args:
        family: A key of `FAMILIES`.
        seed: Decides everything that is seen.
        size: Height and width in pixels, each 1 to 2048.

    Raises:
        InputError: No such family or size.
    """
    if family not in FAMILIES:
        raise InputError(f"{family!r} is no family of synthetic images: choose of {', '.join(FAMILIES)}")
    if not 1 <= min(size) <= max(size) <= _MAX_SIDE:
        raise InputError(f"size: {size[0]}x{size[1]} is not possible; each side has 1 to {_MAX_SIDE} pixels")
    rng = np.random.default_rng([seed & 0xFFFFFFFF, zlib.crc32(family.encode())])
    return FAMILIES[family](rng, size)


def text(rng: np.random.Generator, size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """Words in Pillow's own typeface, of several sizes, directions and colours, on plain ground."""
    ground, canvas = _canvas(rng, size)
    for _ in range(max(2, round(size[0] * size[1] / 1800))):
        font = ImageFont.load_default(rng.uniform(10, 34) * _SUPERSAMPLING)
        word = "".join(rng.choice(list(_CHARACTERS), size=int(rng.integers(2, 8))))
        left, top, right, bottom = font.getbbox(word)
        mask = Image.new("L", (math.ceil(right - left), math.ceil(bottom - top)))
        ImageDraw.Draw(mask).text((-left, -top), word, fill=255, font=font)
        mask = mask.rotate(rng.choice([0, 90, rng.uniform(-45, 45)]), Image.Resampling.BICUBIC, expand=True)
        y, x = (rng.uniform(-0.1, 0.9) * side for side in (canvas.height, canvas.width))
        canvas.paste(_contrasting(rng, ground), (round(x) - mask.width // 4, round(y) - mask.height // 4), mask)
    return _reduced(canvas)


def gratings(rng: np.random.Generator, size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """One or two plane waves, all of them slow enough to survive a reduction by `FINEST_SCALE`."""
    y, x = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5, indexing="ij")
    count = int(rng.integers(1, 3))
    image = np.full((*size, 3), 0.5) + rng.uniform(-0.08, 0.08, 3)
    for _ in range(count):
        amplitude = rng.uniform(0.15, 0.4) / count * rng.choice([-1, 1], 3) * rng.uniform(0.5, 1, 3)
        fy, fx = grating_frequency(rng)
        image += amplitude * np.sin(2 * np.pi * (fy * y + fx * x + rng.uniform()))[..., None]
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def grating_frequency(rng: np.random.Generator) -> Float64[np.ndarray, " 2"]:
    """A random wave vector (y, x), periods per pixel; along each axis below the Nyquist rate, 1 / (2 FINEST_SCALE)."""
    rate = math.exp(rng.uniform(*map(math.log, _GRATING_RATES))) / (2 * FINEST_SCALE)
    angle = rng.uniform(0, np.pi)
    return rate * np.array([math.sin(angle), math.cos(angle)])


def shapes(rng: np.random.Generator, size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """Discs, polygons and lines with smooth edges, one over the other."""
    _, canvas = _canvas(rng, size)
    pen = ImageDraw.Draw(canvas)
    for _ in range(max(4, round(size[0] * size[1] / 700))):
        centre = rng.uniform(size=2) * [canvas.width, canvas.height]
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        _SHAPES[int(rng.integers(len(_SHAPES)))](pen, rng, centre, colour)
    return _reduced(canvas)


def _disc(pen: ImageDraw.ImageDraw, rng: np.random.Generator, centre: np.ndarray, colour: Colour) -> None:
    radius = rng.uniform(2, 16) * _SUPERSAMPLING
    pen.ellipse((*(centre - radius), *(centre + radius)), fill=colour)


def _polygon(pen: ImageDraw.ImageDraw, rng: np.random.Generator, centre: np.ndarray, colour: Colour) -> None:
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
    radius = rng.uniform(4, 20) * _SUPERSAMPLING
    corners = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    pen.polygon([tuple(corner) for corner in corners], fill=colour)


def _line(pen: ImageDraw.ImageDraw, rng: np.random.Generator, centre: np.ndarray, colour: Colour) -> None:
    angle, half = rng.uniform(0, np.pi), rng.uniform(6, 40) * _SUPERSAMPLING
    along = half * np.array([math.cos(angle), math.sin(angle)])
    pen.line((*(centre - along), *(centre + along)), fill=colour, width=round(rng.uniform(1, 4) * _SUPERSAMPLING))


_SHAPES: tuple[Callable[[ImageDraw.ImageDraw, np.random.Generator, np.ndarray, Colour], None], ...] = (
    _disc,
    _polygon,
    _line,
)


def _canvas(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, Image.Image]:
    """A random colour, and plain ground of it, as large as things are drawn."""
    ground = rng.integers(0, 256, 3)
    canvas = Image.new("RGB", (size[1] * _SUPERSAMPLING, size[0] * _SUPERSAMPLING), tuple(map(int, ground)))
    return ground, canvas


def _contrasting(rng: np.random.Generator, ground: np.ndarray) -> Colour:
    """A random colour that can be told from another one."""
    while True:
        colour = rng.integers(0, 256, 3)
        if abs(float(colour.mean() - ground.mean())) > 60:
            return tuple(map(int, colour))


def _reduced(canvas: Image.Image) -> UInt8[np.ndarray, "H W 3"]:
    return np.array(canvas.reduce(_SUPERSAMPLING))


FAMILIES: dict[str, Callable[[np.random.Generator, tuple[int, int]], UInt8[np.ndarray, "H W 3"]]] = {
    "text": text,
    "gratings": gratings,
    "shapes": shapes,
}
