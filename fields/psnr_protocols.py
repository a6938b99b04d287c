"""PSNR of super-resolution as the literature counts it: three protocols, of which tables must name theirs.

All take images in [0, 1], one figure per image; a data set's figure is the mean over its images.

Shape legend
    B       images
    C       channels: 3, or 1 for grey images
    H, W    height and width
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from errors import InputError

Protocol = Literal["plain", "div2k", "benchmark"]

# Luma of ITU-R BT.601 in [16, 235] of 256, as MATLAB's conversion has it, without the constant.
LUMA = (65.738 / 256, 129.057 / 256, 25.064 / 256)


def shave_of(protocol: Protocol, scale: int) -> int:
    """Pixels left out at every side.

    Args:
        protocol: "plain" (none), "div2k" (scale + 6) or "benchmark" (scale).
        scale: Magnification.
    """
    match protocol:
        case "plain":
            return 0
        case "div2k":
            return scale + 6
        case "benchmark":
            return scale
    raise InputError(f"protocol {protocol}: give plain, div2k or benchmark")


def psnr_by_protocol(
    result: Float[Tensor, "B C H W"], reference: Float[Tensor, "B C H W"], protocol: Protocol, scale: int = 0
) -> Float64[Tensor, " B"]:
    """Peak signal-to-noise ratio of every image, in dB; infinite where an image is exact.

    Args:
        result: In [0, 1].
        reference: In [0, 1].
        protocol: "plain": all values of all pixels. "div2k": all values, scale + 6 pixels left out at every side.
            "benchmark" (Set5, Set14, B100, Urban100): luma of the difference, scale pixels left out; the values
            themselves where an image is grey.
        scale: Magnification; unused by "plain".

    Raises:
        InputError: If nothing is left of an image.
    """
    shave = shave_of(protocol, scale)
    height, width = result.shape[-2:]
    if min(height, width) <= 2 * shave:
        raise InputError(f"{height} x {width} pixels: nothing is left when {protocol} leaves out {shave} at every side")
    difference = (result.double() - reference.double())[..., shave : height - shave, shave : width - shave]
    if protocol == "benchmark" and difference.shape[1] > 1:
        weights = torch.tensor(LUMA, dtype=torch.float64, device=difference.device)
        difference = torch.einsum("bchw,c->bhw", difference, weights)[:, None]
    return -10 * torch.log10(difference.square().mean(dim=(1, 2, 3)))
