"""Clips that a measure of motion must tell from real ones: still, and in the wrong order.

Shape legend
    B, T    clips, frames of a clip
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor


def frozen(clips: UInt8[Tensor, "B T 3 H W"], rng: np.random.Generator) -> UInt8[Tensor, "B T 3 H W"]:
    """One random frame of each clip, shown all the time."""
    shown = torch.from_numpy(rng.integers(clips.shape[1], size=len(clips)))
    return clips[torch.arange(len(clips)), shown].unsqueeze(1).expand_as(clips)


def shuffled(clips: UInt8[Tensor, "B T 3 H W"], rng: np.random.Generator) -> UInt8[Tensor, "B T 3 H W"]:
    """The frames of each clip in a random order of its own."""
    order = torch.from_numpy(rng.permuted(np.tile(np.arange(clips.shape[1]), (len(clips), 1)), axis=1))
    return clips[torch.arange(len(clips)).unsqueeze(1), order]
