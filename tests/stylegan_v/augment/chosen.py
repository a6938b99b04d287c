"""Chosen draws and simple clips, for tests of the augmentation."""

from __future__ import annotations

import torch
from torch import Tensor

from stylegan_v.augment.draws import APPLIED, NORMAL, UNIFORM
from stylegan_v.noise import AddressedRandom

EVERYTHING = "bgcfnc"
# The filter sym6 is not quite symmetric: of an image that is mirrored or turned between the two passes, edges move by a
# twentieth of a pixel. What is turned wrongly differs by 0.5 and more.
NEARLY_SYMMETRIC = 0.03


class ChosenDraws:
    """Neutral draws, but for those named: uniform ones 0.5 (bits 0.25), normal ones 0, and every transform acts."""

    def __init__(self, batch: int = 1, **chosen: float) -> None:
        self.batch, self.chosen = batch, chosen

    def uniform(self, name: str, *shape: int) -> Tensor:
        columns = {"augment/applied": APPLIED, "augment/uniform": UNIFORM}[name]
        neutral = {"xflip": 0.2, "rotate90": 0.2, "lumaflip": 0.2} if columns is UNIFORM else {}
        chosen = self.chosen if columns is UNIFORM else {}
        row = [chosen.get(column, neutral.get(column, 0.5)) for column in columns]
        return torch.tensor(row, dtype=torch.float64).expand(self.batch, *shape).clone()

    def normal(self, name: str, *shape: int) -> Tensor:
        if name == "augment/noise":
            return torch.randn(self.batch, *shape)
        return torch.tensor([self.chosen.get(column, 0.0) for column in NORMAL]).expand(self.batch, *shape).clone()


def addressed(clips: list[int], update: int = 3) -> AddressedRandom:
    return AddressedRandom(0, update, "test", torch.tensor(clips))


def smooth_clip(height: int = 32, width: int = 32, frames: int = 2) -> Tensor:
    """A clip with low frequencies only, no symmetry and no border effects worth mentioning, [1, T, 3, H, W]."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    blobs = [torch.exp(-((x - a) ** 2 + (y - b) ** 2) * 8) for a, b in ((0.3, -0.2), (-0.25, 0.1), (0.1, 0.4))]
    return torch.stack([torch.stack(blobs).roll(t, 0) for t in range(frames)])[None]
