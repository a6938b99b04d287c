"""Frames of any size: the base size that replaces 4x4, and the sizes of the blocks above it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

MIN_SIDE = 16


@dataclass(frozen=True)
class Level:
    """One resolution of a network.

    Attributes:
        height: Rows of its features.
        width: Columns of its features.
        name: The larger side rounded down to a power of two: the block's r in names and in the channel table.
        channels: Number of feature channels.
    """

    height: int
    width: int
    name: int
    channels: int


def frame_size(resolution: int | tuple[int, int] | list[int]) -> tuple[int, int]:
    """(height, width) of a resolution given as one side or as two.

    Raises:
        ValueError: If a side is below 4, or below 16 and not the side of a power-of-two square.
    """
    height, width = (resolution, resolution) if isinstance(resolution, int) else (int(n) for n in resolution)
    square = height == width and height >= 4 and height & (height - 1) == 0
    if not square and min(height, width) < MIN_SIDE:
        raise ValueError(f"resolution {height}x{width}: each side must be at least {MIN_SIDE}")
    return height, width


def levels(resolution: tuple[int, int], channel_base: int, channel_max: int) -> list[Level]:
    """The levels from the base size up to the working size (the frame's size rounded up to base times 2^n).

    n = floor(log2(min(H, W) / 4)) and base = ceil(side / 2^n): 4x4 for power-of-two squares, 5x8 for 144x256.
    """
    doublings = int(math.log2(min(resolution) / 4))
    base_height, base_width = (math.ceil(side / 2**doublings) for side in resolution)
    result = []
    for scale in (2**i for i in range(doublings + 1)):
        height, width = base_height * scale, base_width * scale
        name = 2 ** int(math.log2(max(height, width)))
        result.append(Level(height, width, name, min(channel_base // name, channel_max)))
    return result


def center_crop(x: Float[Tensor, "N C h w"], resolution: tuple[int, int]) -> Float[Tensor, "N C H W"]:
    """The middle of images of the working size.

    Args:
        x: Images.
        resolution: (H, W), at most the working size.
    """
    height, width = resolution
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : top + height, left : left + width]
