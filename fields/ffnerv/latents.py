"""Small pictures at knots in time, at several resolutions of time: what FFNeRV knows of a video (Lee et al. 2023).

Shape legend
    B       moments
    K       knots
    C       channels
    h, w    height and width
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError


class TemporalLatents(nn.Module):
    """Pictures at knots, linear between these; knot k of K sits at the moment k / K, and the last stays to the end.

    Args:
        knots: How many.
        channels: Of a picture.
        size: Height and width of a picture.
        quantiser: What the pictures are stored as, each number by itself; None: as they are.
    """

    grid_parameters = ("values",)

    def __init__(self, knots: int, channels: int, size: Sequence[int], quantiser: nn.Module | None = None) -> None:
        super().__init__()
        if min(knots, channels, *size) < 1:
            raise InputError(f"latents: {knots} knots of {channels}x{size[0]}x{size[1]}: give at least 1 of each")
        self.values = nn.Parameter(torch.empty(knots, channels, *size))
        self.quantiser = quantiser
        nn.init.xavier_uniform_(self.values)

    def forward(self, t: Float[Tensor, " B"]) -> Float[Tensor, "B C h w"]:
        """Pictures at moments.

        Args:
            t: Number of the frame over the number of frames; outside of [0, 1) as at its ends.
        """
        knots = len(self.values)
        place = (t * knots).clamp(0, knots - 1)
        left = place.floor().long().clamp(max=max(knots - 2, 0))
        share = rearrange(place - left, "b -> b 1 1 1").to(self.values.dtype)
        used, where = torch.stack((left, (left + 1).clamp(max=knots - 1))).unique(return_inverse=True)
        values = self.values[used] if self.quantiser is None else self.quantiser(self.values[used])
        return torch.lerp(values[where[0]], values[where[1]], share)


class MultiResLatents(nn.Module):
    """Such pictures at several resolutions of time, channels joined.

    Args:
        knots: Of each resolution.
        channels: Of all resolutions together, each of which has the same share.
        size: Height and width.
        quantiser: As for `TemporalLatents`.
    """

    def __init__(
        self,
        knots: Sequence[int],
        channels: int,
        size: Sequence[int],
        quantiser: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if not knots or channels % len(knots):
            raise InputError(f"latents: {channels} channels cannot be shared by {len(knots)} resolutions of time")
        share = channels // len(knots)
        self.levels = nn.ModuleList(TemporalLatents(count, share, size, quantiser) for count in knots)

    def forward(self, t: Float[Tensor, " B"]) -> Float[Tensor, "B C h w"]:
        return torch.cat([level(t) for level in self.levels], dim=1)
