"""FIR resampling: insert zeros, pad, filter, decimate (StyleGAN2, Karras et al. 2020; its low-pass filter is [1, 3, 3, 1]).

Shape legend
    N, C    images and channels
    H, W    height and width
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def fir_filter(taps: tuple[float, ...] = (1, 3, 3, 1)) -> Float[Tensor, "n n"]:
    """The normalised 2D filter of 1D ``taps``: their outer product over the square of their sum."""
    taps_1d = torch.tensor(taps, dtype=torch.float32)
    return torch.outer(taps_1d, taps_1d) / taps_1d.sum() ** 2


def upfirdn2d(
    x: Float[Tensor, "N C H W"],
    kernel: Float[Tensor, "..."],
    *,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    gain: float = 1.0,
    flip: bool = False,
) -> Float[Tensor, "N C h w"]:
    """The readable reference: every resampling of the networks and of the augmentation can be written as one call.

    Inserts ``up - 1`` zeros after each pixel (after the last one too), pads or crops, convolves with ``kernel * gain``
    and keeps every ``down``-th pixel starting with the first.

    Args:
        x: Images.
        kernel: 2D filter [h, w], or 1D filter [n] applied along both axes.
        up: Factor of the zero insertion.
        down: Factor of the decimation.
        padding: Pixels added left, right, top, bottom; negative values crop.
        gain: Factor on the output.
        flip: Correlate instead of convolve.
    """
    if kernel.ndim == 1:
        kernel = torch.outer(kernel, kernel)
    num_images, channels, height, width = x.shape

    # Insert zeros.
    if up > 1:
        x = x.reshape(num_images, channels, height, 1, width, 1)
        x = F.pad(x, (0, up - 1, 0, 0, 0, up - 1))
        x = x.reshape(num_images, channels, height * up, width * up)

    # Pad or crop, filter, decimate.
    x = F.pad(x, padding)
    kernel = (kernel * gain).to(x.dtype)
    kernel = kernel if flip else kernel.flip((0, 1))
    x = F.conv2d(x, kernel.expand(channels, 1, -1, -1), groups=channels)
    return x[:, :, ::down, ::down]
