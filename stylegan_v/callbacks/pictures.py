"""Pictures for TensorBoard and for files: videos as GIF summaries, slices through time as PNG.

Shape legend
    N       videos
    F       frames
    H, W    height and width
"""

from __future__ import annotations

import io
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from torch import Tensor
from torch.nn import functional as F

from stylegan_v.checkpoints import replacing


def shrink(frames: UInt8[Tensor, "F 3 H W"], max_width: int) -> UInt8[Tensor, "F 3 h w"]:
    """The frames, scaled down to ``max_width`` where they are wider."""
    height, width = frames.shape[2:]
    if width <= max_width:
        return frames
    return F.interpolate(frames, (max(1, height * max_width // width), max_width), mode="bilinear", antialias=True)


def gif(frames: UInt8[Tensor, "F 3 H W"], fps: float) -> bytes:
    """The frames as an endless GIF."""
    images = [Image.fromarray(image.numpy()) for image in rearrange(frames, "f c h w -> f h w c").contiguous()]
    file = io.BytesIO()
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=max(20, round(1000 / fps)), loop=0)
    return file.getvalue()


def time_slices(rows: UInt8[Tensor, "N F 3 W"], columns: int) -> UInt8[Tensor, "3 H2 W2"]:
    """One row of pixels of every video over time, x to the right and time downwards, as one picture.

    Motion draws slanted lines, a frozen video vertical ones.

    Args:
        rows: The row of each frame.
        columns: Videos side by side.
    """
    from torchvision.utils import make_grid

    return make_grid(rearrange(rows, "n f c w -> n c f w"), nrow=columns, padding=4, pad_value=255)


def save_png(image: UInt8[Tensor, "3 H W"], path: Path) -> None:
    """Writes a picture, whole or not at all."""
    with replacing(path) as file:
        Image.fromarray(rearrange(image, "c h w -> h w c").contiguous().numpy()).save(file, "PNG")


def log_video(loggers: list[Logger], tag: str, frames: UInt8[Tensor, "F 3 H W"], fps: float, step: int) -> None:
    """Shows a video in TensorBoard.

    Its own writer of videos needs a further package and does nothing without it; an image summary may hold a GIF.
    """
    writers = [logger.experiment for logger in loggers if isinstance(logger, TensorBoardLogger)]
    if not writers:
        return
    from tensorboard.compat.proto.summary_pb2 import Summary

    height, width = frames.shape[2:]
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=gif(frames, fps))
    for writer in writers:
        # The public writer offers no way to add a summary that is already encoded.
        writer._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)


def log_image(loggers: list[Logger], tag: str, image: UInt8[Tensor, "3 H W"], step: int) -> None:
    """Shows a picture in TensorBoard."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(tag, image, step)


def beside(left: UInt8[Tensor, "F 3 H W"], right: UInt8[Tensor, "F 3 H W2"], gap: int) -> UInt8[Tensor, "F 3 H W3"]:
    """Two videos side by side, a white gap between them."""
    white = torch.full((*left.shape[:3], gap), 255, dtype=torch.uint8)
    return torch.cat([left, white, right], dim=3)
