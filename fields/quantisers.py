"""Fewer steps for weights while they are trained, with gradients as if there were none (straight through).

Shape legend
    ...     weights of any shape
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError

# float32 holds this many bits of a number; more steps than that are none.
MAX_BITS = 24


def num_steps(bits: int) -> int:
    """Steps from zero to the largest weight of ``bits`` bits, of which one is the sign.

    Args:
        bits: From 2 to 24.

    Raises:
        InputError: If there are fewer or more.
    """
    if not 2 <= bits <= MAX_BITS:
        raise InputError(f"{bits} bits: give 2 to {MAX_BITS}, or no quantiser at all for whole weights")
    return 2 ** (bits - 1) - 1


def straight_through(quantised: Float[Tensor, "..."], x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The quantised weights, to the last bit, with the derivative of the weights themselves.

    Args:
        quantised: Steps of ``x``.
        x: The weights.
    """
    return quantised.detach() + (x - x.detach())


def floor_to_steps(x: Float[Tensor, "..."], bits: int) -> Float[Tensor, "..."]:
    """The nearest step towards zero of ``1 / (2^(bits - 1) - 1)``, with the derivative of ``x``.

    Args:
        x: In [-1, 1].
        bits: From 2 to 24.
    """
    steps = num_steps(bits)
    return straight_through((x * steps).trunc() / steps, x)


class MinMax(nn.Module):
    """Equal steps up to the largest magnitude of the tensor, to the nearest (CAM's radiance fields, Lee et al. 2024).

    Args:
        bits: From 2 to 24, of which one is the sign.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits, self.num_steps = bits, num_steps(bits)

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        largest = x.detach().abs().max()
        share = x / torch.where(largest > 0, largest, 1.0)  # all zero: nothing to divide by, and nothing changes
        return straight_through((share * self.num_steps).round() / self.num_steps * largest, x)

    def extra_repr(self) -> str:
        return f"bits={self.bits}"


class TanhFloor(nn.Module):
    """Steps towards zero of ``tanh(x)``, whose derivative is kept (CAM's videos, after DoReFa-Net).

    All weights become less than 1: a factor that starts at 1 is 23/31 at 6 bits.

    Args:
        bits: From 2 to 24, of which one is the sign.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits
        num_steps(bits)

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return floor_to_steps(x.tanh(), self.bits)

    def extra_repr(self) -> str:
        return f"bits={self.bits}"
