"""Where a film cuts from one shot to the next.

Shape legend
    F       frames of the film, scaled down
    H, W    their height and width
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

_NEIGHBOURS = 8


def find_shots(
    frames: UInt8[Tensor, "F 3 H W"], *, difference: float = 15.0, contrast: float = 3.0
) -> list[tuple[int, int]]:
    """First frame and frame after the last of every shot.

    A cut is a change from one frame to the next that is large in itself and much larger than the changes around it:
    fast motion makes many large changes in a row, a cut only one. Dissolves are not found.

    Args:
        frames: The film at a small size, 64 pixels or so.
        difference: Smallest mean absolute difference of pixel values at a cut, of 255.
        contrast: Smallest ratio of that difference to the median of those within 8 frames before and after.
    """
    values = frames.to(torch.int16)
    changes = (values[1:] - values[:-1]).abs().float().mean(dim=(1, 2, 3)).numpy()
    cuts = []
    for i, change in enumerate(changes):
        around = np.concatenate([changes[max(i - _NEIGHBOURS, 0) : i], changes[i + 1 : i + 1 + _NEIGHBOURS]])
        usual = np.median(around) if len(around) else 0.0
        if change >= difference and change >= contrast * usual:
            cuts.append(i + 1)
    edges = [0, *cuts, len(frames)]
    return list(itertools.pairwise(edges))
