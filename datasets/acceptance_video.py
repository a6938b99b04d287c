"""A small video with moving waves, a disc and a chequered ground: what fields of videos are compared on.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from errors import InputError


def acceptance_video(num_frames: int = 16, size: tuple[int, int] = (32, 32)) -> UInt8[Tensor, "F 3 H W"]:
    """Red and green are waves that run to the left and downwards, blue a disc that crosses a chequered ground.

    Args:
        num_frames: At least 2.
        size: Height and width, at least 2 each.

    Raises:
        InputError: It would be smaller.
    """
    if num_frames < 2 or min(size) < 2:
        raise InputError(f"num_frames, size: {num_frames} frames of {size[0]}x{size[1]}: give at least 2 of each")
    row, column = np.arange(size[0])[:, None], np.arange(size[1])
    s = np.linspace(0, 1, num_frames)[:, None, None]
    v, u = row / (size[0] - 1), column / (size[1] - 1)
    red = 0.5 + 0.5 * np.sin(2 * np.pi * (3 * u + s)) + 0 * v
    green = 0.5 + 0.5 * np.sin(2 * np.pi * (5 * v - 2 * s)) + 0 * u
    inside = (u - 0.2 - 0.6 * s) ** 2 + (v - 0.5) ** 2 < 0.04
    blue = np.where(inside, 1.0, 0.5 * ((row // 4 + column // 4) % 2))
    return torch.from_numpy((np.stack((red, green, blue), axis=1) * 255).round().astype(np.uint8))
