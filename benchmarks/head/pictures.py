"""Pictures of one generator's head: frames beside their enlargement and true ones, and slices.

Shape legend
    N       clips
    T       frames of a clip
    H, W    height and width
"""

from __future__ import annotations

from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from datasets.files import atomic_path

_GAP = 4


def side_by_side(images: UInt8[Tensor, "N 3 H W"]) -> UInt8[Tensor, "3 H w"]:
    """Pictures in a row."""
    return rearrange(F.pad(images, (0, _GAP), value=255), "n c h w -> c h (n w)")


def first_frames(clips: UInt8[Tensor, "N T 3 H W"]) -> UInt8[Tensor, "3 H w"]:
    """The first frame of each clip."""
    return side_by_side(clips[:, 0])


def over_time(clips: UInt8[Tensor, "N T 3 H W"]) -> UInt8[Tensor, "3 T w"]:
    """The middle row of each clip, time downwards."""
    return side_by_side(rearrange(clips[:, :, :, clips.shape[3] // 2], "n t c w -> n c t w"))


def save_rows(path: Path, rows: list[UInt8[Tensor, "3 h w"]], zoom: int = 2) -> None:
    """Writes pictures of one width below each other, enlarged without a filter.

    Args:
        path: Of the PNG.
        rows: The pictures.
        zoom: Factor of the enlargement.
    """
    whole = torch.cat([F.pad(row, (0, 0, 0, _GAP), value=255) for row in rows], dim=1)
    whole = whole.repeat_interleave(zoom, dim=1).repeat_interleave(zoom, dim=2)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        Image.fromarray(rearrange(whole, "c h w -> h w c").contiguous().numpy()).save(file, "PNG")
