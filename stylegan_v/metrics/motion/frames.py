"""Frames as the figures of motion see them: values from 0 to 1, and small low-passed copies.

Shape legend
    N, F    clips, frames of a clip
    f       frames of one part of a clip
    H, W    height and width; h, w those of the small copy
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from errors import InputError

Clip = Shaped[Tensor, "F 3 H W"] | Shaped[np.ndarray, "F 3 H W"]
Clips = Shaped[Tensor, "N F 3 H W"] | Shaped[np.ndarray, "N F 3 H W"]


@runtime_checkable
class Follower(Protocol):
    """Sees the frames of one video in order, a few at a time; what it keeps hardly grows with their number."""

    def add(self, frames: Float[Tensor, "f 3 H W"]) -> None:
        """The next frames, in [0, 1]."""
        ...

    def result(self) -> Any:
        """What was seen, once all frames have been added."""
        ...


def unit_frames(frames: Shaped[Tensor, "*any"] | Shaped[np.ndarray, "*any"]) -> Float[Tensor, "*any"]:
    """Frames of either kind as float32 in [0, 1].

    Args:
        frames: Bytes, or floats that are nominally in [-1, 1] and clamped to that.

    Raises:
        InputError: Neither.
    """
    tensor = frames if isinstance(frames, Tensor) else torch.tensor(frames)  # a copy: an array may be read-only
    if tensor.dtype == torch.uint8:
        return tensor.float() / 255
    if not tensor.is_floating_point():
        raise InputError(f"clips: {tensor.dtype} are no frames: give uint8, or floats in [-1, 1]")
    return (tensor.float().clamp(-1, 1) + 1) / 2


def smaller(frames: Float[Tensor, "f c H W"], side: int) -> Float[Tensor, "f c h w"]:
    """Frames scaled down until the shorter side has ``side`` pixels, low-passed against aliasing; never enlarged."""
    height, width = frames.shape[2:]
    factor = side / min(height, width)
    if factor >= 1:
        return frames
    size = (round(height * factor), round(width * factor))
    return F.interpolate(frames, size, mode="bilinear", antialias=True)


def follow(follower: Follower, clip: Clip, chunk: int) -> Any:
    """The result of a follower that is shown a clip, ``chunk`` frames at a time."""
    for start in range(0, len(clip), chunk):
        follower.add(unit_frames(clip[start : start + chunk]))
    return follower.result()


def each(clips: Tensor | np.ndarray) -> Iterator[Clip]:
    """The clips one by one, as what they are; an array that is mapped from a file is read only where it is looked at.

    Raises:
        InputError: They are not of shape [N, F, 3, H, W].
    """
    if clips.ndim != 5 or clips.shape[2] != 3 or 0 in clips.shape:
        raise InputError(f"clips: shape {tuple(clips.shape)} is not [clips, frames, 3, height, width]: rearrange them")
    yield from clips
