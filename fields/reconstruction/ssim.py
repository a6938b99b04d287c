"""Structural similarity per frame, through torchmetrics.

There are several conventions, and they differ in the second decimal on small frames. This one: a Gaussian window of 11
taps, sigma 1.5; K1 = 0.01, K2 = 0.03, data range 1; variances with the weights of the window, without a correction for
the sample; red, green and blue each for itself; frames mirrored at their borders (without repeating the outermost
pixel), so that every pixel counts. Wang et al. (2004) and scikit-image instead leave out the 5 pixels along the border.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from errors import InputError
from fields.reconstruction.frames import full_precision

CONVENTION = "per frame and RGB channel: Gaussian window of 11, sigma 1.5, K 0.01 and 0.03, range 1, mirrored borders"
MS_CONVENTION = f"{CONVENTION}; 5 scales with the weights of Wang et al. (2003), negative terms set to 0"
MIN_SIZE = 6  # mirroring by 5 pixels takes one more
MS_MIN_SIZE = 176  # the library asks for a side // 16 above 10


def ssim(result: Float[Tensor, "F 3 H W"], reference: Float[Tensor, "F 3 H W"]) -> Float64[Tensor, " F"]:
    """Structural similarity of every frame, at most 1.

    Args:
        result: In [0, 1].
        reference: In [0, 1].

    Raises:
        InputError: A side below 6 pixels.
    """
    import torchvision_guard  # noqa: F401, I001  (before torchmetrics)
    from torchmetrics.functional.image import structural_similarity_index_measure as library

    _check_size(result, MIN_SIZE, "ssim")
    return _per_frame(library, result, reference)


def ms_ssim(result: Float[Tensor, "F 3 H W"], reference: Float[Tensor, "F 3 H W"]) -> Float64[Tensor, " F"]:
    """Multi-scale structural similarity of every frame, in [0, 1].

    The library averages the coarser scales without their 5 border pixels, and the coarsest with them.

    Args:
        result: In [0, 1].
        reference: In [0, 1].

    Raises:
        InputError: A side below 176 pixels, which the coarsest scale would make smaller than the window.
    """
    import torchvision_guard  # noqa: F401, I001  (before torchmetrics)
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as library

    _check_size(result, MS_MIN_SIZE, "ms_ssim")
    return _per_frame(library, result, reference)


def _per_frame(library: Callable[..., Tensor], result: Tensor, reference: Tensor) -> Tensor:
    """A frame at a time: five filtered copies of it are held, and no other frame changes its last digits."""
    pairs = zip(result.float().split(1), reference.float().split(1), strict=True)
    with full_precision(result.device):
        values = [library(one, other, sigma=1.5, data_range=1.0, reduction="none") for one, other in pairs]
    return torch.cat(values).double() if values else result.new_zeros(0, dtype=torch.float64)


def _check_size(frames: Tensor, least: int, name: str) -> None:
    height, width = frames.shape[-2:]
    if min(height, width) < least:
        raise InputError(f"{name}: frames of {height}x{width} are too small: it needs {least} pixels on each side")
