"""Pictures of a fit: target, reconstruction and error side by side, still and moving.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor

from fields.scale_scores import side_by_side, to_bytes

GAIN = 5.0  # of errors, which would hardly be seen
HIDDEN = (1.0, 0.0, 1.0)  # colour of what was not seen
_AT_LEAST = 128  # pixels of the longer side


def compared(
    target: Float[Tensor, "3 H W"],
    result: Float[Tensor, "3 H W"],
    side: int = 512,
    visible: Bool[Tensor, "H W"] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """A frame, what became of it, and five times the absolute difference; before them what of it was seen.

    Args:
        target: In [0, 1].
        result: In [0, 1].
        side: Of larger frames the middle is shown; the pixels of small ones are magnified.
        visible: What was seen, the rest is magenta; None: all, which is not shown.
    """
    times = max(1, _AT_LEAST // max(target.shape[1:]))
    seen = [] if visible is None else [torch.where(visible, target, target.new_tensor(HIDDEN)[:, None, None])]
    shown = [to_bytes(frame) for frame in (*seen, target, result, GAIN * (result - target).abs())]
    return side_by_side([image.repeat(times, axis=0).repeat(times, axis=1) for image in shown], side)


def sheet(rows: Sequence[UInt8[np.ndarray, "h w 3"]]) -> UInt8[np.ndarray, "H W 3"]:
    """Rows of pictures below one another, with white between them."""
    gap = np.full((4, rows[0].shape[1], 3), 255, dtype=np.uint8)
    return np.concatenate([part for row in rows for part in (row, gap)][:-1])


def moving(frames: Sequence[UInt8[np.ndarray, "h w 3"]], fps: float) -> bytes:
    """Pictures as a GIF that repeats for ever."""
    images, file = [Image.fromarray(frame) for frame in frames], io.BytesIO()
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=max(20, round(1000 / fps)), loop=0)
    return file.getvalue()


def add_moving(experiment: Any, tag: str, gif: bytes, size: tuple[int, int], step: int) -> None:
    """Puts a GIF before the viewers of TensorBoard, whose own way needs another package.

    Args:
        experiment: TensorBoard's writer.
        tag: Under which name.
        gif: The file.
        size: Height and width.
        step: Updates.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary

    picture = Summary.Image(height=size[0], width=size[1], colorspace=3, encoded_image_string=gif)
    experiment._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=tag, image=picture)]), step)
