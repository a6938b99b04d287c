"""Drift: how far the frames of a video move away from its first ones as time goes on.

With D the distance of `thumbnails`,

    drift(lag) = mean over s = 0 ... 7 of D(f(s + lag), f(s)),

in units of the pixels' range, from 0 at lag 0. Two figures are read from the mean curve over clips: its level, the mean
over the last quarter of the lags, and its growth, that mean over the one of the second quarter. A video whose frames
move about within one scene has a level like that of real videos and a growth of about 1; a still one has level 0
(growth nan); a growth well above that of real videos is content that keeps drifting away.

Limits: 0 to 1 in principle, rarely above 0.3; it depends on contrast, so that only real videos of the same kind and
length say which level is right.

Shape legend
    N, F    clips, frames of a clip
    L       lags, from 0 on
    D       values of a small copy
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float16, Float64
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.motion.frames import Clips, each, follow
from stylegan_v.metrics.motion.thumbnails import Thumbnails, distances

NUM_FIRST = 8
_TILE = 4096  # frames that are widened to float64 together


def drift_curve(copies: Float16[Tensor, "F D"], num_first: int = NUM_FIRST) -> Float64[np.ndarray, " L"]:
    """Drift by lag of one video.

    Args:
        copies: Of `thumbnails.Thumbnails`.
        num_first: How many first frames the others are compared with.
    """
    first = copies[:num_first]
    num_lags = len(copies) - len(first) + 1
    centre = first.mean(dim=0, dtype=torch.float64)
    to_first = torch.cat([distances(tile, first, centre) for tile in copies.split(_TILE)])
    along = [to_first[s : s + num_lags, s] for s in range(len(first))]
    return torch.stack(along).mean(dim=0).cpu().numpy()


def drift_level(curve: Float64[np.ndarray, " L"]) -> float:
    """Mean over the last quarter of the lags, in units of the pixels' range; nan for fewer than 4 lags."""
    return float(curve[3 * len(curve) // 4 :].mean()) if len(curve) >= 4 else math.nan


def drift_growth(curve: Float64[np.ndarray, " L"]) -> float:
    """Mean over the last quarter of the lags, over that of the second; nan for fewer than 4 lags or a still video."""
    middle = curve[len(curve) // 4 : len(curve) // 2].mean() if len(curve) >= 4 else 0.0
    return drift_level(curve) / float(middle) if middle > 0 else math.nan


def drift(clips: Clips, num_first: int = NUM_FIRST, *, chunk: int = 32) -> Float64[np.ndarray, "N L"]:
    """Drift by lag of each clip; see the head of the file.

    Args:
        clips: Bytes, or floats in [-1, 1].
        num_first: How many first frames the others are compared with, at least 1.
        chunk: Frames looked at together; does not change the result.
    """
    if num_first < 1:
        raise InputError(f"num_first: {num_first} frames are not possible: give at least 1")
    return np.stack([drift_curve(follow(Thumbnails(), clip, chunk), num_first) for clip in each(clips)])
