"""Grids as bytes: NVP's quantiser, 256 steps from the smallest value of a group to its largest (Kim et al. 2022, 4.2).

Groups are each channel of each level of a plane, and each channel of the volume as a whole.

Shape legend
    S       entries of a level
    C       channels
    H, W    vertices of a level along its second and its first axis
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from errors import InputError


def quantise(
    values: Float[Tensor, "*S C"],
) -> tuple[UInt8[Tensor, "*S C"], Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Bytes, and what 0 and 255 of each channel stand for.

    A channel of equal values becomes 0 throughout, and is restored exactly; the original divides by zero there.

    Args:
        values: A group per channel.

    Raises:
        InputError: If there are none, or some are not finite.
    """
    if not values.numel() or not values.isfinite().all():
        raise InputError("quantise: the values are empty or not all finite: fit the field again")
    low, high = values.flatten(0, -2).aminmax(dim=0)
    steps = 255 * (values - low) / (high - low) + 0.5
    return torch.where(high > low, steps, 0.0).to(torch.uint8), low, high


def dequantise(
    number: UInt8[Tensor, "*S C"], low: Float[Tensor, " C"], high: Float[Tensor, " C"]
) -> Float[Tensor, "*S C"]:
    """The values that bytes stand for; arguments as `quantise` gives them."""
    return (high - low) * number.to(low.dtype) / 255 + low


def as_pictures(table: Shaped[Tensor, "S C"], resolution: Sequence[int]) -> Shaped[Tensor, "C H W"]:
    """A level's table as pictures, one per channel; the first axis of the grid runs along their rows.

    Args:
        table: Of one dense level, without padding.
        resolution: Vertices along the grid's two axes, first axis first.
    """
    return rearrange(table, "(h w) c -> c h w", h=int(resolution[1]), w=int(resolution[0]))


def from_pictures(pictures: Shaped[Tensor, "C H W"]) -> Shaped[Tensor, "S C"]:
    """The table of pictures that `as_pictures` made."""
    return rearrange(pictures, "c h w -> (h w) c")
