"""Fits of videos: one video becomes one field, which is built for the video's size.

Shape legend
    N       pixels of a batch
    F       frames
    H, W    height and width
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor, nn

from datasets.signal_datamodule import SignalDataModule
from errors import InputError
from fields.coords import at_index, centres
from fields.fitting.base import Fit
from fields.fitting.record import FitRecord
from fields.interface import CHUNK
from fields.nerv_training import nerv_loss


def moments_of(frames: Int64[Tensor, " F"], total: int, every: int = 1) -> Float32[Tensor, " F"]:
    """When frames are, on the clock of a field that counts every so-manieth of them: others lie between its frames.

    Args:
        frames: Their numbers.
        total: Frames of the video.
        every: Frame ``every * k`` is frame k of the field, which has as many as that gives.
    """
    return at_index(frames / every, -(-total // every))


def points_of(pixels: Int64[Tensor, " N"], size: tuple[int, int, int], every: int = 1) -> Float32[Tensor, "N 3"]:
    """Places (t, y, x) of pixels, bit for bit those that are rendered.

    Args:
        pixels: Their numbers, counted frame by frame and row by row.
        size: Frames, height and width.
        every: As for `moments_of`.
    """
    row = pixels // size[2]
    y, x = (centres(n, pixels.device)[k] for n, k in ((size[1], row % size[1]), (size[2], pixels % size[2])))
    return torch.stack([moments_of(row // size[1], size[0], every), y, x], dim=1)


def from_bytes(values: Tensor) -> Tensor:
    """Colours of 8 bits as float32 in [-1, 1]."""
    return values.float() / 127.5 - 1


def frame_loss(
    result: Float[Tensor, "F 3 H W"], target: Float[Tensor, "F 3 H W"], visible: Bool[Tensor, "F 1 H W"] | None = None
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The loss of NeRV's authors, and the mean squared error, of what is visible.

    Args:
        result: In [-1, 1].
        target: In [-1, 1].
        visible: What counts, at least one pixel; None: all. The rest is black in both.
    """
    if visible is None:
        return nerv_loss((result + 1) / 2, (target + 1) / 2), F.mse_loss(result.detach(), target)
    error = (visible * (result.detach() - target)).square().mean() / visible.float().mean()
    return nerv_loss(visible * ((result + 1) / 2), visible * ((target + 1) / 2)), error


class FieldFitting(Fit):
    """Fits a field to a video by AdamW with a rate that falls along a cosine, as NVP does.

    A field of points learns colours of random pixels by their squared error; one of whole frames (NeRV) learns these
    by the loss of its authors. What the data hide has no part in either. A fit that collapses goes back to its last
    good state at half the rate, three times.

    Args:
        model: What is fitted, built for frames, height and width: a config names the class and all arguments but the
            size.
        lr: Learning rate of networks.
        grid_lr: Of grids; None: the same.
        weight_decay: Of networks.
        grid_weight_decay: Of grids; None: the same.
        end_lr: What rates fall to.
        total_updates: Length of the run.
        validate_every: Updates between two measurements; there is one more at the end, of all frames.
        num_while_training: How many frames are measured while training goes on, evenly spread.
        chunk: Pixels that are evaluated at once when frames are measured.
        lpips_weights: File of the weights of LPIPS, which is measured at the end where they are there; None: where they
            usually lie.
    """

    def __init__(
        self,
        model: Callable[[tuple[int, int, int]], nn.Module],
        lr: float = 1e-2,
        grid_lr: float | None = None,
        weight_decay: float = 0.0,
        grid_weight_decay: float | None = None,
        end_lr: float = 1e-5,
        total_updates: int = 2000,
        validate_every: int = 500,
        num_while_training: int = 8,
        chunk: int = CHUNK,
        lpips_weights: str | None = None,
    ) -> None:
        super().__init__(lr, grid_lr, weight_decay, grid_weight_decay, end_lr, total_updates, validate_every)
        if min(num_while_training, chunk) < 1:
            raise InputError("model: num_while_training and chunk must be above 0")
        self.make = model
        self.record = FitRecord(num_while_training, chunk, lpips_weights)

    data: SignalDataModule

    def meet(self, data: Any) -> None:
        if not isinstance(data, SignalDataModule):
            raise InputError("data: fitting needs one video: give datasets.signal_datamodule.VideoSignal")
        data.setup("fit")
        size = data.signal.field_size
        what = "{} frames of {}x{}".format(*size)
        remedy = "give smaller grids, or fewer frames by data.num_frames"
        self.build(partial(self.make, size), what, remedy, size=list(size))
        data.whole_frames = hasattr(self.model, "frames")
        seen = data.signal.size[0] - len(data.signal.held_out)
        if data.signal.held_out and getattr(self.model, "num_slices", 0) > seen:
            raise InputError(
                f"model.model.sparse_shape: {self.model.num_slices} slices of {seen} frames, as the others are held "
                f"out: slices that see no frame learn nothing: give at most {seen} slices"
            )

    def loss(self, batch: dict[str, Any]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        target, signal = from_bytes(batch["rgb"]), self.data.signal
        if "frames" not in batch:
            error = F.mse_loss(self.model(points_of(batch["pixels"], signal.size, signal.every)).float(), target)
            return error, error.detach()
        moments = moments_of(batch["frames"], signal.size[0], signal.every)
        return frame_loss(self.model.frames(moments).float(), target, batch.get("visible"))

    def measure(self, complete: bool) -> str | None:
        return self.record.take(self, complete, self.asked_to_stop)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        signal = self.data.signal
        checkpoint["signal"] = {"fps": float(signal.fps) / signal.every}  # of the field's own frames
