"""One picture's pixels at another size: from whole numbers to the model and back.

Shape legend
    H, W    height and width of the source
    h, w    height and width of the result
    C       1 (grey) or 3
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8, UInt16
from PIL import Image
from torch import Tensor

from errors import InputError
from fields.upscaling.models import Model
from fields.upscaling.tiling import Cut, render_view
from fields.upscaling.views import View

Pixels = UInt8[np.ndarray, "H W C"] | UInt16[np.ndarray, "H W C"]
Enlarged = UInt8[np.ndarray, "h w C"] | UInt16[np.ndarray, "h w C"]
Advance = Callable[[int], object]  # is told how many pixels are done


def enlarge(model: Model, pixels: Pixels, view: View, cut: Cut, advance: Advance) -> Enlarged:
    """A view of a picture, with its number of channels and its depth.

    What is not magnified to any side is no matter of the model, and reduced with antialiasing.

    Memory beside the two pictures does not grow with them. Grey goes through the model as equal colours, of whose
    results the mean is taken.

    Args:
        model: What upscales.
        pixels: The picture, from 0 to the largest number of its type.
        view: What is shown.
        cut: How the picture is cut into tiles.
        advance: Called with the number of pixels that were computed, now and then.

    Raises:
        InputError: The model's values are not numbers.
    """
    if not view.magnifies:
        advance(view.size[0] * view.size[1])
        return _reduced(pixels, view.size, view.box)
    levels, channels = np.iinfo(pixels.dtype).max, pixels.shape[2]

    def read(rows: slice, columns: slice) -> Tensor:
        part = torch.from_numpy(pixels[rows, columns].astype(np.float32)).to(model.device)
        return rearrange(part * (2 / levels) - 1, "h w c -> c h w").expand(3, -1, -1)

    computed = view.not_reduced()
    result = np.empty((*computed.size, channels), pixels.dtype)
    for rows, columns, values in render_view(model.field, read, computed, cut, model.chunk):
        if not values.isfinite().all():
            raise InputError("ckpt: the model gives values that are no numbers: its weights are damaged")
        values = values.mean(0, keepdim=True) if channels == 1 else values
        unit = (values / 2 + 0.5).clamp(0, 1).cpu().numpy()
        result[rows, columns] = np.rint(rearrange(unit, "c h w -> h w c") * levels)
        advance(unit.shape[1] * unit.shape[2])
    return result if computed == view else _reduced(result, view.size)


def _reduced(pixels: Pixels, size: tuple[int, int], box: tuple[float, float, float, float] | None = None) -> Enlarged:
    """A picture, or what is inside of a box of it, at a smaller size, with antialiasing."""
    channels = [Image.fromarray(channel.astype(np.float32)) for channel in np.moveaxis(pixels, -1, 0)]
    small = [np.asarray(channel.resize(size[::-1], Image.Resampling.BICUBIC, box)) for channel in channels]
    return np.rint(np.stack(small, -1).clip(0, np.iinfo(pixels.dtype).max)).astype(pixels.dtype)
