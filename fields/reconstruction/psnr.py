"""Peak signal-to-noise ratio per frame, and what must not be mistaken for its average.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64
from torch import Tensor

CONVENTION = "per frame: -10 log10 of the mean squared error over all RGB values in [0, 1]; mean over frames, in dB"


def mean_squared_error(result: Float[Tensor, "F 3 H W"], reference: Float[Tensor, "F 3 H W"]) -> Float64[Tensor, " F"]:
    """Mean squared error of every frame, summed in float64.

    Args:
        result: In [0, 1].
        reference: In [0, 1].
    """
    errors = [(one.double() - other.double()).square().mean() for one, other in zip(result, reference, strict=True)]
    return torch.stack(errors) if errors else result.new_zeros(0, dtype=torch.float64)


def psnr(result: Float[Tensor, "F 3 H W"], reference: Float[Tensor, "F 3 H W"]) -> Float64[Tensor, " F"]:
    """Peak signal-to-noise ratio of every frame, in dB; infinite where a frame is exact.

    Values in [-1, 1] have four times the error at the same PSNR: `frames.from_symmetric` brings them to [0, 1].

    Args:
        result: In [0, 1].
        reference: In [0, 1].
    """
    return -10 * torch.log10(mean_squared_error(result, reference))


def average_psnr(values: Float64[Tensor, " F"]) -> tuple[float, int]:
    """A video's PSNR: the mean over its frames, and how many frames are exact.

    One exact frame would make the mean infinite and hide all others. So exact frames are left out and counted; the
    mean without them is never more than the true one. It is infinite where all frames are exact.

    Args:
        values: Of the frames, in dB.
    """
    finite = values[~torch.isposinf(values)]
    return (float(finite.mean()) if len(finite) else float("inf")), len(values) - len(finite)


def psnr_of_mean_mse(values: Float64[Tensor, " F"]) -> float:
    """PSNR of one error over all frames: not the average PSNR, and by Jensen's inequality never above it.

    It is what training logs usually show. The two differ by decibels where frames differ in difficulty; the tables of
    NVP and its baselines hold the average.

    Args:
        values: PSNR of every frame, in dB, of frames of one size.
    """
    return float(-10 * torch.log10((10 ** (-values / 10)).mean()))
