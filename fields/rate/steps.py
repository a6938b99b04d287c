"""Steps in which numbers are kept: eighths of an octave, the same to the last bit on every machine.

Shape legend
    G       groups
"""

from __future__ import annotations

import torch
from jaxtyping import Float32, Int64, Real
from torch import Tensor

LOWEST, HIGHEST = -120, 80  # 2^-15 to 2^10
LIMIT = 8191  # of the absolute value of a symbol
_PER_OCTAVE = 8
# 2^(k/8) as written numbers: powers are rounded differently by different machines.
_ROOTS = (1.0, 1.0905077, 1.1892071, 1.2968396, 1.4142135, 1.5422108, 1.6817929, 1.8340081)


def nearest_step(log2_step: Real[Tensor, " G"]) -> Int64[Tensor, " G"]:
    """Numbers of the steps that come nearest.

    Args:
        log2_step: Logarithms of the steps wanted.
    """
    return (log2_step.detach() * _PER_OCTAVE).round().long().clamp(LOWEST, HIGHEST)


def step_of(number: Int64[Tensor, " G"]) -> Float32[Tensor, " G"]:
    """The step that a number from ``LOWEST`` to ``HIGHEST`` stands for."""
    root = torch.tensor(_ROOTS, dtype=torch.float32, device=number.device)[number % _PER_OCTAVE]
    return torch.ldexp(root, torch.div(number, _PER_OCTAVE, rounding_mode="floor"))


def symbols_of(values: Float32[Tensor, "*N"], step: Float32[Tensor, "*#N"]) -> Int64[Tensor, "*N"]:
    """Whole numbers of steps; those that are too many are cut off."""
    return (values / step).round().clamp(-LIMIT, LIMIT).long()


def values_of(symbols: Int64[Tensor, "*N"], step: Float32[Tensor, "*#N"]) -> Float32[Tensor, "*N"]:
    """What symbols stand for."""
    return symbols.float() * step
