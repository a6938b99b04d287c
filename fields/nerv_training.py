"""How NeRV is trained and stored: losses, learning rate and quantiser as pure functions (Chen et al., NeurIPS 2021).

Shape legend
    F       frames
    C       channels
    H, W    height and width
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from errors import InputError

_TAPS, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def _blurred(x: Tensor) -> Tensor:
    """Means under a Gaussian window, where it fits into the picture."""
    channels = x.shape[1]
    distance = torch.arange(_TAPS, device=x.device, dtype=x.dtype) - _TAPS // 2
    window = (-(distance**2) / (2 * _SIGMA**2)).exp()
    window = (window / window.sum()).expand(channels, 1, 1, -1)
    return F.conv2d(F.conv2d(x, window.mT, groups=channels), window, groups=channels)


def inner_ssim(result: Float[Tensor, "F C H W"], target: Float[Tensor, "F C H W"]) -> Float[Tensor, ""]:
    """Structural similarity with derivatives, mean over all places at least 5 pixels from the border.

    Scores of reconstructions are `fields.reconstruction.ssim`, which mirrors the borders.

    Args:
        result: In [0, 1].
        target: In [0, 1].

    Raises:
        InputError: If a side is smaller than the window.
    """
    if min(result.shape[-2:]) < _TAPS:
        raise InputError(f"ssim: frames of {result.shape[-2]}x{result.shape[-1]}: it needs {_TAPS} pixels on each side")
    means = _blurred(result), _blurred(target)
    variances = [_blurred(x * x) - mean * mean for x, mean in zip((result, target), means, strict=True)]
    covariance = _blurred(result * target) - means[0] * means[1]
    light = (2 * means[0] * means[1] + _C1) / (means[0] ** 2 + means[1] ** 2 + _C1)
    return (light * (2 * covariance + _C2) / (variances[0] + variances[1] + _C2)).mean()


def nerv_loss(
    result: Float[Tensor, "F C H W"], target: Float[Tensor, "F C H W"], l1_share: float = 0.7
) -> Float[Tensor, ""]:
    """``share L1 + (1 - share) (1 - SSIM)`` (eq. 2; "Fusion6" of its program with 0.7, "Fusion9" with 0.9).

    Args:
        result: In [0, 1].
        target: In [0, 1].
        l1_share: Of the absolute difference, in [0, 1].
    """
    return l1_share * F.l1_loss(result, target) + (1 - l1_share) * (1 - inner_ssim(result, target))


def rate_factor(epoch: float, num_epochs: float, num_warmup: float, start: float = 0.1) -> float:
    """What the learning rate is multiplied by: from ``start`` to 1 along a line, then to 0 along half a cosine.

    Args:
        epoch: Epochs done, with their fraction.
        num_epochs: Of the whole training.
        num_warmup: Of the line.
        start: The first factor.
    """
    if epoch < num_warmup:
        return start + (1 - start) * epoch / num_warmup
    return (1 + math.cos(math.pi * (epoch - num_warmup) / (num_epochs - num_warmup))) / 2


def quantise_weights(
    weights: Float[Tensor, "..."], bits: int, axis: int | None = None
) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
    """Weights as steps of ``(max - min) / 2^bits`` above the minimum, and what these stand for.

    As in NeRV's program, which so reaches ``2^bits + 1`` values: one more than the bits can tell apart. Pruned weights,
    which are zero, do not count for the range, but are quantised as all others. Equal weights become 0 steps.

    Args:
        weights: Of a layer.
        bits: Of a step's number.
        axis: Along it, each slice has a range of its own; None is one range for all.
    """
    dims = [d for d in range(weights.ndim) if axis is None or d != axis % weights.ndim]
    kept = weights != 0
    low = weights.where(kept, torch.inf).amin(dims, keepdim=True)
    high = weights.where(kept, -torch.inf).amax(dims, keepdim=True)
    low, high = (end.where(end.isfinite(), 0.0) for end in (low, high))
    step = (high - low) / 2**bits
    number = torch.round((weights - low) / step).where(step > 0, 0.0)
    return number, number * step + low
