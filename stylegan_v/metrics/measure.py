"""Distances between sets of clips: appearance and motion, Frechet and kernel, on fixed random convolution features.

Shape legend
    B, T    clips, frames of a clip
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor

from stylegan_v.metrics.frechet import frechet_distance
from stylegan_v.metrics.kernel import kernel_distance
from stylegan_v.metrics.random_features import AppearanceFeatures, MotionFeatures

# The columns of every table: what is compared, and how.
COLUMNS = ("appearance_frechet", "appearance_kernel", "motion_frechet", "motion_kernel")
_FRAME_STEP = 5  # appearance looks at every fifth frame: the ones between say the same again
_GROUP = 16  # clips that are looked at together


@dataclass(frozen=True)
class ClipFeatures:
    """Features of a set of clips."""

    appearance: Tensor
    motion: Tensor


class Measure:
    """Features of clips and distances between them.

    Args:
        device: Where the features are computed.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.appearance, self.motion = AppearanceFeatures().to(device), MotionFeatures().to(device)

    @torch.no_grad()
    def features(self, clips: UInt8[Tensor, "B T 3 H W"]) -> ClipFeatures:
        """Features of clips as bytes: what is measured is what a file would hold."""
        looks, moves = [], []
        for group in clips.split(_GROUP):
            group = group.to(self.device).float() / 127.5 - 1
            looks.append(self.appearance(group[:, ::_FRAME_STEP].flatten(0, 1)))
            moves.append(self.motion(group))
        return ClipFeatures(torch.cat(looks), torch.cat(moves))

    def distances(self, first: ClipFeatures, second: ClipFeatures) -> dict[str, float]:
        """The distances by column name; Frechet with covariances over N - 1."""
        return {
            f"{name}_{kind}": float(distance(getattr(first, name), getattr(second, name)))
            for name in ("appearance", "motion")
            for kind, distance in (("frechet", frechet_distance), ("kernel", kernel_distance))
        }
