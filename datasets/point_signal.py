"""Values at points that a field is fitted to: the pixels of one picture, or samples of a function of one variable.

Shape legend
    N       points
    D       axes
    C       channels of a value
    H, W    height and width
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float32, Float64, UInt8
from PIL import Image
from torch import Tensor

from datasets.memory import available_memory, gigabytes
from datasets.sources import decode_image, read_bounded
from errors import InputError

_BYTES = 8 * 4 * 3  # of a point


@dataclass
class PointSignal:
    """Values at points, and which of them are trained on.

    Attributes:
        name: For messages.
        size: Elements per axis.
        positions: Places in elements: element i of an axis is at i; between elements there are fractions.
        values: As a field is to give them.
        trained: Which are trained on; measured are all.
        unit: What a difference of 1 of the original values is here.
        span: Range of the original values, which PSNR is of.
        bounds: Values beyond these are no values, and are clamped before they are measured; None: there are none.
    """

    name: str
    size: tuple[int, ...]
    positions: Float32[Tensor, "N D"]
    values: Float32[Tensor, "N C"]
    trained: Bool[Tensor, " N"]
    unit: float
    span: float
    bounds: tuple[float, float] | None = None

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        return sum(tensor.numel() * tensor.element_size() for tensor in (self.positions, self.values, self.trained))

    def to(self, device: torch.device) -> PointSignal:
        """Moves it; gives itself."""
        self.positions, self.values = self.positions.to(device), self.values.to(device)
        self.trained = self.trained.to(device)
        return self


def of_picture(pixels: UInt8[np.ndarray, "H W 3"], name: str, every: int = 1) -> PointSignal:
    """A picture row by row, its values in [-1, 1].

    Args:
        pixels: Of the picture.
        name: For messages.
        every: Each so many-th pixel of each so many-th row is trained on, from the first on.

    Raises:
        InputError: It has a single pixel, or the step is not possible.
    """
    height, width = pixels.shape[:2]
    if height * width < 2:
        raise InputError(f"{name}: has {height}x{width} pixels: a field is fitted to at least two")
    if not 1 <= every <= max(height, width) // 2:
        raise InputError(f"data.every {every}: give 1 for all pixels of {height}x{width}, or a step that leaves some")
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return PointSignal(
        name,
        (height, width),
        torch.stack((row.flatten(), column.flatten()), dim=1).float(),
        torch.from_numpy(rearrange(pixels, "h w c -> (h w) c").copy()).float() / 127.5 - 1,
        rearrange((row % every == 0) & (column % every == 0), "h w -> (h w)"),
        unit=2.0,
        span=1.0,
        bounds=(-1.0, 1.0),
    )


def of_samples(x: Float64[np.ndarray, " N"], y: Float64[np.ndarray, " N"], name: str) -> PointSignal:
    """A function of one variable by samples, in any order; the first and last are the ends of the axis.

    Args:
        x: Where they are, not all at the same place.
        y: The values.
        name: For messages.

    Raises:
        InputError: There are fewer than two, numbers that are not finite, or no span of x or y.
    """
    if len(x) < 2:
        raise InputError(f"{name}: has {len(x)} point: a field is fitted to at least two")
    for axis, numbers in (("x", x), ("y", y)):
        wrong = np.flatnonzero(~np.isfinite(numbers))
        if len(wrong):
            raise InputError(f"{name}: {axis} of point {wrong[0] + 1} is {numbers[wrong[0]]}: give finite numbers")
        with np.errstate(over="ignore"):
            extent = np.float32(np.ptp(numbers))
        if not np.isfinite(extent) or extent == 0:
            raise InputError(f"{name}: {axis} runs from {numbers.min():g} to {numbers.max():g}: nothing can be fitted")
    positions = (x - x.min()) / np.ptp(x) * (len(x) - 1)
    return PointSignal(
        name,
        (len(x),),
        torch.from_numpy(positions[:, None]).float(),
        torch.from_numpy(y[:, None]).float(),
        torch.ones(len(x), dtype=torch.bool),
        unit=1.0,
        span=float(np.ptp(y)),
    )


def check_memory(name: str, size: Sequence[int], remedy: str) -> None:
    """Refuses points that do not fit into memory, with what a fit makes of them.

    Args:
        name: For the message.
        size: Elements per axis.
        remedy: What to give instead.

    Raises:
        InputError: They do not fit.
    """
    needed, left = _BYTES * math.prod(map(int, size)), available_memory(torch.device("cpu"))
    if left is not None and needed > left:
        shape = "x".join(map(str, size))
        raise InputError(f"{name}: {shape} points take {gigabytes(needed)}, {gigabytes(left)} are left: give {remedy}")


def read_picture(path: str | Path, size: Sequence[int] | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """An image file, upright.

    Args:
        path: The file.
        size: Height and width that it is brought to; None: its own.

    Raises:
        InputError: It is no image that can be read, or there is no memory for it.
    """
    path = Path(path).expanduser()
    try:
        pixels = decode_image(read_bounded(path))
    except OSError as error:
        raise InputError(f"{path}: no image that can be read ({error.strerror or error}): give another file") from error
    check_memory(str(path), pixels.shape[:2] if size is None else size, "a smaller data.size")
    if size is None or tuple(size) == pixels.shape[:2]:
        return pixels
    picture = Image.fromarray(pixels)
    return np.array(picture.resize((int(size[1]), int(size[0])), Image.Resampling.LANCZOS))
