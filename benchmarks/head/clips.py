"""Clips at twice the resolution of a model: its own, bicubic enlargements of its native frames, and true ones.

Shape legend
    N       clips
    T       frames of a clip
    H, W    height and width, twice those of the model
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from datasets.datamodule import SyntheticVideos
from stylegan_v.callbacks.scale_slices import canvas_of
from stylegan_v.networks import Generator
from stylegan_v.networks.decoder import Canvas, View
from stylegan_v.ops.bicubic import resample, taps
from stylegan_v.rendering import draw_latents, to_uint8

ENLARGEMENT = 2
_HELD_OUT = 2**22  # seeds between the videos of training and those of a draw
_TOGETHER = 8  # clips that are drawn at once


def large_view(generator: Generator, shift: tuple[float, float] = (0.0, 0.0)) -> View:
    """The whole frame at twice its size."""
    size = tuple(ENLARGEMENT * side for side in generator.resolution)
    return View(size, (0, 0, *size), shift)


def enlarged(canvas: Canvas, view: View) -> Float[Tensor, "N 3 H W"]:
    """What a cubic kernel makes of the native frames that a canvas shows, in a view.

    Args:
        canvas: Of some frames.
        view: Not below the native size.
    """
    return cubic(canvas.look(View.of(canvas.decoder.inputs.resolution)), view)


def cubic(images: Float[Tensor, "N 3 h w"], view: View) -> Float[Tensor, "N 3 H W"]:
    """Native frames in a view, by the interpolating cubic kernel.

    Args:
        images: Of the native size.
        view: Not below it.
    """
    resolution = (images.shape[2], images.shape[3])
    for axis in (0, 1):
        images = resample(images, taps(view.places(axis, resolution), resolution[axis]), 2 + axis)
    return images


@torch.no_grad()
def generated(
    generator: Generator, horizon: int, num_clips: int, num_frames: int, seed: int
) -> Iterator[tuple[UInt8[Tensor, "n T 3 H W"], UInt8[Tensor, "n T 3 H W"]]]:
    """Clips of the head at twice the size, and the same clips enlarged; a few at a time.

    Args:
        generator: With a decoder, in evaluation mode.
        horizon: Length of the videos of training; clips begin anywhere in it.
        num_clips: N.
        num_frames: T.
        seed: Of the latents and beginnings.
    """
    for start in range(0, num_clips, _TOGETHER):
        numbers = range(start, min(start + _TOGETHER, num_clips))
        t = _begin(horizon, num_frames, seed, start) + torch.arange(num_frames, dtype=torch.float64)
        canvas, view = canvas_of(generator, draw_latents(generator, seed, numbers), t), large_view(generator)
        both = (canvas.look(view), enlarged(canvas, view))
        yield tuple(to_uint8(frames).unflatten(0, (len(numbers), num_frames)) for frames in both)


def true_clips(
    data: SyntheticVideos, num_clips: int, num_frames: int, seed: int, enlargement: int = ENLARGEMENT
) -> Iterator[UInt8[Tensor, "n T 3 H W"]]:
    """Clips of videos that training has not seen, rendered at twice the resolution of the model; a few at a time.

    Args:
        data: Of the training.
        num_clips: N.
        num_frames: T.
        seed: Which videos.
        enlargement: Size of the frames that are rendered over that of the model.
    """
    size = tuple(enlargement * side for side in data.resolution)
    for start in range(0, num_clips, _TOGETHER):
        numbers = range(start, min(start + _TOGETHER, num_clips))
        t = _begin(data.num_frames, num_frames, seed, start) + np.arange(num_frames)
        first = data.first_seed + _HELD_OUT * (1 + seed)
        yield torch.stack([data.video(first + n, data.num_frames, size).read(t) for n in numbers])


def true_enlarged(
    data: SyntheticVideos, num_clips: int, num_frames: int, seed: int
) -> Iterator[UInt8[Tensor, "n T 3 H W"]]:
    """The same, rendered at the resolution of the model and enlarged by the cubic kernel."""
    size = tuple(ENLARGEMENT * side for side in data.resolution)
    for clips in true_clips(data, num_clips, num_frames, seed, enlargement=1):
        frames = clips.flatten(0, 1).float() / 127.5 - 1
        yield to_uint8(cubic(frames, View(size, (0, 0, *size)))).unflatten(0, clips.shape[:2])


def _begin(horizon: int, num_frames: int, seed: int, group: int) -> int:
    return int(np.random.default_rng([seed, group]).integers(horizon - num_frames + 1))
