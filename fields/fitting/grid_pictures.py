"""What the grids of a field have learned, as pictures: those of modulation often look like the signal.

Shape legend
    C       channels of a grid
    H, W    height and width of a picture
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from fields.coord_grid import CoordGrid
from fields.fitting.keeping import add_image, add_picture
from fields.fitting.plots import plot

if TYPE_CHECKING:
    from fields.fitting.base import Fit

_SIDE = 192  # pixels of a picture's longer side, at least
_MOST_SIDE = 1024
_MOST_TILES = 16  # slices or channels of one grid
_MOST_GRIDS = 32  # of one field


def show_grids(fit: Fit) -> None:
    """Keeps the grids of a field: each in TensorBoard, all as one PNG beside the run's samples.

    Args:
        fit: With its trainer; a field without such grids has nothing to show.
    """
    shown = pictures_of(fit.model)
    for name, picture in shown.items():
        add_image(fit.trainer, f"grids/{name}", picture, fit.updates)
    if shown:
        add_picture(fit, "grids", sheet(list(shown.values())), in_logs=False)


def pictures_of(field: nn.Module) -> dict[str, UInt8[np.ndarray, "H W 3"]]:
    """Pictures of the grids of a field, by name; of many, the first and the last.

    Args:
        field: With its parts.
    """
    grids = [(name, part) for name, part in field.named_modules() if isinstance(part, CoordGrid)]
    if len(grids) > _MOST_GRIDS:
        grids = grids[: _MOST_GRIDS // 2] + grids[-_MOST_GRIDS // 2 :]
    return {name: grid_picture(name, part.knots().detach().float().cpu()) for name, part in grids}


def grid_picture(name: str, values: Float[Tensor, "C ..."]) -> UInt8[np.ndarray, "H W 3"]:
    """A grid: a curve where it has one axis and one channel, else grey from its least value to its largest.

    Of several channels of one axis each is a row; of more axes, channels and slices along the first of three stand
    side by side, the first 16 of them.

    Args:
        name: Written above, with the least and the largest value.
        values: Of the knots.
    """
    if values.ndim == 2 and len(values) == 1:
        return plot(name, {"": (np.linspace(-1, 1, values.shape[1]).tolist(), values[0].tolist())})
    low, high = float(values.min()), float(values.max())
    caption = f"{name}  {low:.3g} .. {high:.3g}"
    grey = (values - low) / (high - low) if high > low else torch.full_like(values, 0.5)
    tiles = [grey] if values.ndim == 2 else list(rearrange(grey, "... h w -> (...) h w")[:_MOST_TILES])
    height, width = tiles[0].shape
    times = max(1, _SIDE // max(height, width))
    images = [_bytes(tile[:_MOST_SIDE, :_MOST_SIDE]).repeat(times, axis=0).repeat(times, axis=1) for tile in tiles]
    gap = np.full((images[0].shape[0], 4), 255, dtype=np.uint8)
    row = np.concatenate([part for image in images for part in (image, gap)][:-1], axis=1)
    return _captioned(row, caption)


def sheet(pictures: list[UInt8[np.ndarray, "_ _ 3"]]) -> UInt8[np.ndarray, "H W 3"]:
    """Pictures in rows of two, as scale and shift of a layer belong together.

    Args:
        pictures: At least one, of any sizes.
    """
    rows = [pictures[start : start + 2] for start in range(0, len(pictures), 2)]
    widths = [max(row[place].shape[1] for row in rows if len(row) > place) for place in range(len(rows[0]))]
    total = sum(max(picture.shape[0] for picture in row) for row in rows) + 6 * (len(rows) - 1)
    canvas = np.full((total, sum(widths) + 6 * (len(widths) - 1), 3), 255, dtype=np.uint8)
    top = 0
    for row in rows:
        for picture, left in zip(row, (0, widths[0] + 6), strict=False):
            canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        top += max(picture.shape[0] for picture in row) + 6
    return canvas


def _bytes(tile: Float[Tensor, "H W"]) -> UInt8[np.ndarray, "H W"]:
    return (tile.nan_to_num() * 255).round().to(torch.uint8).numpy()


def _captioned(grey: UInt8[np.ndarray, "_ _"], caption: str) -> UInt8[np.ndarray, "H W 3"]:
    font = ImageFont.load_default(12)
    width = max(grey.shape[1], round(font.getlength(caption)) + 2)
    picture = Image.new("RGB", (width, grey.shape[0] + 18), "white")
    ImageDraw.Draw(picture).text((0, 2), caption, (40, 40, 40), font)
    picture.paste(Image.fromarray(grey), (0, 18))
    return np.array(picture)
