"""What a feature network is to the metrics: bytes in, a row of features per clip or per frame out.

Shape legend
    B, T    clips, frames of a clip
    N       items: B clips, or B x T frames, clip by clip
    D, C    feature dimension, classes
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from errors import InputError

NOT_COMPARABLE = "not comparable with published numbers"
_SUM_TOLERANCE = 1e-3  # of a softmax over 1008 classes in single precision there is far less


@runtime_checkable
class Detector(Protocol):
    """A feature network.

    Attributes:
        name: As in the table of detectors.
        digest: sha256 of its weights; of a network without a file "definition:" and the sha256 of what defines it.
        caveat: What must be said beside each of its numbers; "" where nothing is.
        unit: What a row of features is of.
        min_frames: Frames that a clip needs.
    """

    name: str
    digest: str
    caveat: str
    unit: Literal["clip", "frame"]
    min_frames: int

    def to(self, device: torch.device | str) -> Detector:
        """This network on another device."""
        ...

    def features(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "N D"]:
        """Features of clips or of their frames, on the network's device; no gradients."""
        ...

    def probabilities(self, clips: UInt8[Tensor, "B T 3 H W"]) -> Float32[Tensor, "N C"]:
        """Class probabilities of clips or of their frames.

        Raises:
            InputError: The network has no classes.
        """
        ...


def no_classes(name: str) -> InputError:
    """What a network without classes answers when it is asked for probabilities."""
    return InputError(
        f"{name}: gives no class probabilities: choose inception or c3d, or random_3d, for an inception score"
    )


def check_clips(name: str, clips: Tensor, min_frames: int) -> None:
    """Refuses what is no batch of clips of bytes, or too short.

    Raises:
        InputError: The clips have too few frames.
        ValueError: They are no clips of bytes.
    """
    if clips.dtype != torch.uint8 or clips.ndim != 5 or clips.shape[2] != 3:
        raise ValueError(f"{name}: features are of bytes [B, T, 3, H, W], not {clips.dtype} {list(clips.shape)}")
    if clips.shape[1] < min_frames:
        raise InputError(f"{name}: clips of {clips.shape[1]} frames are too short: it needs {min_frames}")


def check_probabilities(path: Path, rows: Float32[Tensor, "N C"]) -> Float32[Tensor, "N C"]:
    """The rows themselves, if each is a distribution.

    Args:
        path: Of the network's file, for messages.
        rows: What it answered.

    Raises:
        InputError: Some value is negative or not finite, or some row does not sum to 1.
    """
    sums = rows.double().sum(dim=1)
    if not (rows.isfinite().all() and (rows >= 0).all() and (sums - 1).abs().max() < _SUM_TOLERANCE):
        raise InputError(
            f"{path}: answers with rows that sum to {sums.min():.4g}..{sums.max():.4g}, which are no class "
            "probabilities: give the file that the table of detectors names"
        )
    return rows


@contextmanager
def measuring(device: torch.device) -> Iterator[None]:
    """What features are computed under, whatever is around it: no gradients, single precision, the same twice.

    Reduced precision is left out because the same file of weights must give the same number on any device, and because
    a metric may be asked for in the middle of training, inside of its autocast. On a thread beside the main one the
    flags of cuDNN and of matrix products stay as they are: they are the whole process's, and training goes on with
    them. So on a GPU, scores taken while training may be rounded to TF32.

    Args:
        device: Where the network lies.
    """
    with torch.no_grad(), torch.autocast(device.type, enabled=False), _full_precision():
        yield


@contextmanager
def _full_precision() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
