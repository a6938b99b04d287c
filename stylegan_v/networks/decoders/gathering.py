"""Reading maps of latents between their centres so that nothing has a crease there.

A map that is read bilinearly has slopes that jump where the nearest latents change: content that moves shows the grid
standing still. Weights by smoothstep have no slope there, so all that is blended by them has continuous derivatives. So
has the relative coordinate when it is blended alike: f - smoothstep(f), from one latent to the next.

Shape legend
    N       frames
    h, w, C height, width and channels of a map of latents, channels last
    n, m    rows and columns that are asked for
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor

from fields.grid_geometry import smoothstep


class Between(NamedTuple):
    """Which latents places along an axis lie between; float32 whatever the latents are.

    Args:
        lower: The one before; beyond the map it is the one at its border.
        upper: The one after.
        fraction: Of the way from one to the other, from 0 to 1.
        share: Of the upper in the blend.
    """

    lower: Int64[Tensor, " n"]
    upper: Int64[Tensor, " n"]
    fraction: Float32[Tensor, " n"]
    share: Float32[Tensor, " n"]

    @property
    def offset(self) -> Float32[Tensor, " n"]:
        """From latents to places, blended as the latents are, in their spacings."""
        return self.fraction - self.share


def between(places: Float64[Tensor, " n"], size: int, device: torch.device) -> Between:
    """The latents around places.

    Args:
        places: In latents; 0 is the centre of the first one.
        size: Latents of the axis.
        device: Where they are read.
    """
    lower = places.floor()
    fraction = (places - lower).float()
    index = torch.stack([lower, lower + 1]).long().clamp(0, size - 1).to(device, non_blocking=True)
    fraction = fraction.to(device, non_blocking=True)
    return Between(*index, fraction, smoothstep(fraction))


def read_rows(latents: Float[Tensor, "N h w C"], rows: Between) -> Float[Tensor, "N n w C"]:
    """Latents at places along the first axis, at least in float32."""
    return _blend(latents, rows, 1)


def read_columns(latents: Float[Tensor, "N h w C"], columns: Between) -> Float[Tensor, "N h n C"]:
    """Latents at places along the second axis, at least in float32."""
    return _blend(latents, columns, 2)


def _blend(latents: Tensor, found: Between, dim: int) -> Tensor:
    # Channels last, rows are long and columns pieces of many channels: the axis is read as fast as memory is copied.
    exact = torch.promote_types(latents.dtype, torch.float32)
    lower, upper = (latents.index_select(dim, index).to(exact) for index in (found.lower, found.upper))
    return torch.lerp(lower, upper, found.share.to(exact).view(-1, *[1] * (latents.ndim - dim - 1)))
