"""Frame change: how much a picture changes from one frame to the next.

    frame change = sqrt(mean over pixels and t of (f(t + 1) - f(t))^2),

in grey levels, 0 to 255. 0 is a still video; good is the value of real videos. Whether the change is movement, flicker
or noise it does not say.

Shape legend
    N, F    clips, frames of a clip
    f       frames of one part of a clip
    H, W    height and width
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from stylegan_v.metrics.motion.frames import Clips, each, follow


class FrameDifferences:
    """Mean square over the pixels of f(t + 1) - f(t), for every t; a follower of one video."""

    def __init__(self) -> None:
        self._last: Tensor | None = None
        self._squares: list[Tensor] = []

    def add(self, frames: Float[Tensor, "f 3 H W"]) -> None:
        seen = frames if self._last is None else torch.cat([self._last, frames])
        if len(seen) > 1:
            self._squares.append(seen.diff(dim=0).double().square().mean(dim=(1, 2, 3)).cpu())
        self._last = seen[-1:]

    def result(self) -> Float64[np.ndarray, " _"]:
        """[F - 1], squares of the pixels' range."""
        return torch.cat(self._squares).numpy() if self._squares else np.zeros(0)


def frame_change(clips: Clips, *, chunk: int = 32) -> float:
    """The figure of clips; see the head of the file.

    Args:
        clips: Bytes, or floats in [-1, 1], at least 2 frames each.
        chunk: Frames looked at together; does not change the result.
    """
    return 255 * math.sqrt(np.mean([follow(FrameDifferences(), clip, chunk) for clip in each(clips)]))
