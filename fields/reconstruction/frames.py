"""Frames as the measures take them: RGB in [0, 1], floats, finite.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from errors import InputError

Frames = Float[Tensor, "F 3 H W"]


def from_bytes(frames: UInt8[Tensor, "F 3 H W"]) -> Float32[Tensor, "F 3 H W"]:
    """Frames of a file as the measures take them: 0 to 255 becomes 0 to 1."""
    return frames.to(torch.float32) / 255


def from_symmetric(frames: Frames) -> Frames:
    """What a field draws, nominally in [-1, 1], as the measures take it: (x + 1) / 2, clamped.

    Clamping belongs to the protocol: what a screen cannot show is no error. Values that are not finite stay so, and
    are refused by `check_pair`.
    """
    return ((frames + 1) / 2).clamp(0, 1)


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Convolutions in float32 proper, whatever the caller trains in, and the same ones in every call.

    SSIM subtracts squares that nearly cancel: with the ten bits of TF32, which graphics cards use unasked, or under
    autocast, nothing would be left of it.
    """
    with (
        torch.no_grad(),
        torch.autocast(device.type, enabled=False),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
    ):
        yield


def check_pair(result: Tensor, reference: Tensor) -> None:
    """Refuses frames that cannot be compared.

    Args:
        result: What was reconstructed, [F, 3, H, W].
        reference: The original, likewise.

    Raises:
        InputError: Different sizes, values outside [0, 1], or values that are not finite.
    """
    if result.ndim != 4 or result.shape != reference.shape:
        raise InputError(
            f"result {list(result.shape)} and reference {list(reference.shape)} cannot be compared: "
            "give equally many frames [F, 3, H, W] of one size"
        )
    for name, frames in (("result", result), ("reference", reference)):
        inside = ((frames >= 0) & (frames <= 1)).all()  # false for NaN
        if not inside:
            raise InputError(f"{name}: has values outside [0, 1], or not finite: clamp it, or mend what drew it")
