"""Multi-scale structural similarity as papers of the NeRV family report it: without borders, and per colour.

Shape legend
    F       frames
    C       channels
    H, W    height and width
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from errors import InputError

_TAPS, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2
MIN_SIZE = 161  # of which the fifth scale has as many pixels as the window


def _inner_means(x: Tensor) -> Tensor:
    """Under a Gaussian window, where it fits into the picture."""
    distance = torch.arange(_TAPS, device=x.device, dtype=x.dtype) - _TAPS // 2
    line = (-(distance**2) / (2 * _SIGMA**2)).exp()
    window = torch.outer(line, line) / line.sum() ** 2
    return F.conv2d(x, window.expand(x.shape[1], 1, -1, -1), groups=x.shape[1])


def _terms(result: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Means ``[F, C]`` of structural similarity, and of its part without brightness."""
    means = _inner_means(result), _inner_means(target)
    variances = [_inner_means(x * x) - mean**2 for x, mean in zip((result, target), means, strict=True)]
    covariance = _inner_means(result * target) - means[0] * means[1]
    structure = (2 * covariance + _C2) / (variances[0] + variances[1] + _C2)
    light = (2 * means[0] * means[1] + _C1) / (means[0] ** 2 + means[1] ** 2 + _C1)
    return (light * structure).mean((2, 3)), structure.mean((2, 3))


def inner_ms_ssim(result: Float[Tensor, "F C H W"], target: Float[Tensor, "F C H W"]) -> Float[Tensor, " F"]:
    """Multi-scale structural similarity of every frame, in [0, 1]; negative terms are 0.

    Scores of reconstructions are `fields.reconstruction.ssim.ms_ssim`, which mirrors the borders: figures differ in the
    third decimal.

    Args:
        result: In [0, 1].
        target: In [0, 1].

    Raises:
        InputError: If a side is smaller than the window would be on the coarsest scale.
    """
    if min(result.shape[-2:]) < MIN_SIZE:
        raise InputError(f"ms_ssim: frames of {result.shape[-2]}x{result.shape[-1]}: give {MIN_SIZE} pixels or more")
    score = result.new_ones(result.shape[:2])
    for scale, weight in enumerate(_WEIGHTS):
        if scale:
            odd = [side % 2 for side in result.shape[-2:]]
            result, target = (F.avg_pool2d(x, 2, padding=odd) for x in (result, target))
        whole, structure = _terms(result, target)
        chosen = whole if scale == len(_WEIGHTS) - 1 else structure
        score = score * chosen.relu() ** weight
    return score.mean(1)
