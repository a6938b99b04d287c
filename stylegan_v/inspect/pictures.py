"""What a generator draws, as pictures: first frames of videos in a square, videos as rows of moments.

Shape legend
    N       videos
    F       moments
    H, W    height and width
"""

from __future__ import annotations

from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float64, UInt8
from PIL import Image
from torch import Tensor

from datasets.video_writer import tile
from errors import InputError
from stylegan_v.checkpoints import replacing
from stylegan_v.networks import Generator
from stylegan_v.rendering import draw_latents, render

GAP = 2  # pixels between tiles
_CHUNK = 4  # frames at once, so that large frames fit into memory
_LARGEST_SIDE = 4096  # pixels; a damaged config may ask for anything


def sample_grid(
    generator: Generator, side: int, *, seed: int = 0, truncation_psi: float = 1.0
) -> UInt8[Tensor, "3 H W"]:
    """The first frames of videos 0, 1, ... of a seed, row by row.

    Args:
        generator: In evaluation mode.
        side: Videos in a row, and rows.
        seed: Of content, motion and classes.
        truncation_psi: 1 keeps the full variety, smaller values draw videos nearer to the mean one.
    """
    start = torch.zeros(1, dtype=torch.float64)
    return _tiled(generator, side**2, start, side, seed, truncation_psi)


def motion_strip(
    generator: Generator, num_videos: int, moments: int, step: float, *, seed: int = 0, truncation_psi: float = 1.0
) -> UInt8[Tensor, "3 H W"]:
    """Videos 0, 1, ... of a seed as rows, time to the right.

    Args:
        generator: In evaluation mode.
        num_videos: Rows.
        moments: Columns.
        step: Frames of the training data from one column to the next.
        seed: As in `sample_grid`.
        truncation_psi: As in `sample_grid`.
    """
    t = torch.arange(moments, dtype=torch.float64) * step
    return _tiled(generator, num_videos, t, moments, seed, truncation_psi)


def _tiled(
    generator: Generator, num_videos: int, t: Float64[Tensor, " F"], columns: int, seed: int, truncation_psi: float
) -> UInt8[Tensor, "3 H W"]:
    if max(generator.resolution) > _LARGEST_SIDE:
        raise InputError(f"no picture: frames of {generator.resolution} pixels are larger than {_LARGEST_SIDE}")
    latents = draw_latents(generator, seed, range(num_videos), truncation_psi=truncation_psi)
    frames = torch.cat(list(render(generator, latents, t, chunk=_CHUNK)), dim=1)
    return tile(rearrange(frames, "n f c h w -> (n f) 1 c h w"), columns, gap=GAP, value=255)[0]


def save_png(picture: UInt8[Tensor, "3 H W"], path: Path) -> None:
    """Writes a picture, whole or not at all."""
    with replacing(path) as file:
        Image.fromarray(rearrange(picture, "c h w -> h w c").contiguous().numpy()).save(file, "PNG")
