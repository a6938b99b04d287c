"""Frames as they come back from JPEG files, in which many data sets are stored.

Shape legend
    B, T    clips, frames of a clip
    H, W    height and width
"""

from __future__ import annotations

import io

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor


def through_jpeg(clips: UInt8[Tensor, "B T 3 H W"], quality: int) -> UInt8[Tensor, "B T 3 H W"]:
    """Clips as they are after each frame was stored as JPEG.

    Args:
        clips: The clips.
        quality: 1 to 100; chroma is subsampled as Pillow does by default.
    """
    frames = []
    for frame in rearrange(clips, "b t c h w -> (b t) h w c").cpu().numpy():
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(frame)).save(file, "JPEG", quality=quality)
        frames.append(torch.from_numpy(np.array(Image.open(file))))
    return rearrange(torch.stack(frames), "(b t) h w c -> b t c h w", b=len(clips)).to(clips.device)
