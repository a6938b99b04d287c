"""Bits of numbers that are rounded and coded as if they were drawn from a Laplace distribution.

Shape legend
    N       numbers
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


def laplace_bits(values: Float[Tensor, "*N"], log2_scale: Float[Tensor, "*#N"]) -> Float[Tensor, "*N"]:
    """``-log2`` of the probability of the unit interval around a value.

    That of a whole number is what its code takes; with noise as wide as the interval added to what will be rounded, its
    mean stands for that before anything is rounded (Balle et al., "End-to-end optimized image compression", ICLR 2017).

    Args:
        values: In units of the step.
        log2_scale: Logarithm of the mean distance from zero, likewise.
    """
    distance, rate = values.abs(), torch.exp2(-log2_scale)
    # Beyond half a step the interval does not hold the peak: exp(-rate distance) sinh(rate / 2).
    beyond = distance.clamp(min=0.5)
    tail = rate * (beyond - 0.5) - torch.log(-torch.expm1(-rate)) + math.log(2)
    within = distance.clamp(max=0.5)
    left, right = torch.exp(-rate * (0.5 - within)), torch.exp(-rate * (0.5 + within))
    peak = -torch.log1p(-(left + right) / 2)
    return torch.where(distance < 0.5, peak, tail) / math.log(2)
