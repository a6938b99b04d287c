"""What a head that draws at any size makes of one row of a frame: over all scales, and over time at a large one.

Over scales (x-s), a picture that is one at all of them draws upright lines; what hangs on the grid of features instead
of the scene is seen as a comb that changes with the scale. Over time (x-t), such a texture stays upright while all else
slants.

Shape legend
    N       videos
    F       frames
    S       scales
    W       columns of a row
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from stylegan_v.networks import Generator
from stylegan_v.networks.decoder import Canvas, View
from stylegan_v.rendering import VideoLatents, to_uint8


@torch.no_grad()
def canvas_of(generator: Generator, latents: VideoLatents, t: Float[Tensor, " F"]) -> Canvas:
    """What can be looked at of some moments of videos.

    Args:
        generator: With a decoder.
        latents: Of the videos.
        t: Moments, frames.
    """
    motion_v = generator.synthesis.motion.path(latents.motion.window, latents.c)(t).to(latents.ws.device)
    return generator.synthesis.draw(latents.ws, motion_v, noise_mode="const")


@torch.no_grad()
def middle_row(canvas: Canvas, scale: float, exact: bool = False) -> UInt8[Tensor, "N 3 W"]:
    """The middle row of each frame, drawn at a scale.

    Args:
        canvas: Of the frames.
        scale: Of the frame to the native one.
        exact: Whether it is the same line of the scene at all scales, between two rows of pixels where need be.
    """
    size = tuple(max(1, round(side * scale)) for side in canvas.decoder.inputs.resolution)
    row = size[0] // 2
    shift = (size[0] / 2 - 0.5 - row if exact else 0.0, 0.0)
    return to_uint8(canvas.look(View(size, (row, 0, row + 1, size[1]), shift)))[:, :, 0].cpu()


def over_scales(canvas: Canvas, scales: Sequence[float]) -> UInt8[Tensor, "N S 3 W"]:
    """The line through the middle of each frame at one scale after the other, all shown as wide as the widest.

    Args:
        canvas: Of one frame of each video.
        scales: Of the frame to the native one.
    """
    rows = [middle_row(canvas, scale, exact=True).float() for scale in scales]
    width = max(row.shape[2] for row in rows)
    shown = [F.interpolate(row, width, mode="linear") for row in rows]
    return torch.stack(shown, dim=1).round().to(torch.uint8)


def over_time(
    generator: Generator, latents: VideoLatents, num_frames: int, scale: float, chunk: int
) -> UInt8[Tensor, "N F 3 W"]:
    """The middle row of each frame of videos at a scale.

    Args:
        generator: With a decoder.
        latents: Of the videos.
        num_frames: F.
        scale: Of the frame to the native one.
        chunk: Frames that the generator works on at once.
    """
    times = torch.arange(num_frames, dtype=torch.float64).split(max(1, chunk // len(latents)))
    rows = [middle_row(canvas_of(generator, latents, t), scale).unflatten(0, (len(latents), -1)) for t in times]
    return torch.cat(rows, dim=1)


def some_scales(largest: float, num: int = 64) -> list[float]:
    """Scales from half the native one to the largest, evenly in their logarithm."""
    return np.geomspace(0.5, largest, num).tolist()
