"""Scales and shifts of the synthesis network's features that change with time, from grids that are a video's own.

This is coordinate-aware modulation (CAM, Lee et al. 2024) with time as the coordinate and grids predicted from latents.

Which time. A grid over absolute time would end, and with it the motion. A grid that repeats in every segment between
two motion codes would pulse for ever. So each motion code has a grid of K knots, predicted from the style of the video
and from that code, and knot k of the segment between two codes mixes the grids of its ends:

    knot_k = (1 - k/K) grid(w, u_left)[k] + (k/K) grid(w, u_right)[k],    k = 0 ... K,

where entry K of a grid is its entry 0. Between knots all is linear. At a code, where one segment ends with the whole of
the right grid's first entry and the next one begins with the whole of the left grid's, they meet. So the modulation is
continuous at all times, defined at any, and changes as long as there are new codes, at a rate that does not depend on
where a video began. Its two codes and the share of the segment are all that a frame needs, which is why frames do not
depend on the window of time that is asked for.

Shape legend
    B, T    videos and frames of a video; N = B * T frames folded together
    W, D    dimensions of a style and of a motion code
    A       what a frame knows of its segment, 1 + 2 D: its share, then the codes at both ends
    K       knots per segment
    R       rank: values from which the scales, and those from which the shifts of all layers are made
    C       channels of a layer
"""

from __future__ import annotations

import math

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.coord_grid import read_line
from stylegan_v.networks.layers import EqualizedLinear
from stylegan_v.networks.motion_interface import Motion


class TemporalModulation(nn.Module):
    """Styles and motion codes to the values, at each frame, that scales and shifts of all layers are made of.

    They are zero at first. They are computed in the precision of the weights, whatever autocast says.

    Args:
        w_dim: W.
        v_dim: D, that of the motion.
        num_knots: K.
        rank: R.
    """

    def __init__(self, w_dim: int = 512, v_dim: int = 512, num_knots: int = 8, rank: int = 8) -> None:
        super().__init__()
        if min(num_knots, rank) < 1:
            raise InputError(f"temporal_modulation: {num_knots} knots of rank {rank}: give at least 1 of both")
        self.w_dim, self.v_dim, self.num_knots, self.rank = w_dim, v_dim, num_knots, rank
        self.head = EqualizedLinear(w_dim + v_dim, num_knots * 2 * rank)
        nn.init.zeros_(self.head.weight)

    def join(self, w_dim: int, motion: Motion) -> None:
        """Lets the motion hand on its codes.

        Raises:
            InputError: It has none, or these or the styles have other sizes.
        """
        sizes = {"w_dim": w_dim, "v_dim": motion.hand_on_codes()}
        for name, size in sizes.items():
            if getattr(self, name) != size:
                raise InputError(
                    f"temporal_modulation: {name} {getattr(self, name)}, that of the generator is {size}: "
                    "they must agree: give both"
                )

    def grids(self, w: Float[Tensor, "B W"], codes: Float[Tensor, "B T D"]) -> Float[Tensor, "B T K _"]:
        """The grid of a code in a video."""
        w = repeat(w, "b w -> (b t) w", t=codes.shape[1])
        found = self.head(torch.cat([w, rearrange(codes, "b t d -> (b t) d")], dim=1))
        return rearrange(found, "(b t) (k r) -> b t k r", b=len(codes), k=self.num_knots)

    def forward(self, w: Float[Tensor, "B W"], segments: Float[Tensor, "B T A"]) -> Float[Tensor, "N _"]:
        """The values of each frame.

        Args:
            w: Of each video.
            segments: What follows an embedding, see `Motion.hand_on_codes`.
        """
        with torch.autocast(w.device.type, enabled=False):
            w, segments = (x.to(self.head.weight.dtype) for x in (w, segments))
            share, *codes = segments.split([1, self.v_dim, self.v_dim], dim=2)
            left, right = (self.grids(w, code) for code in codes)
            left, right = (torch.cat([grid, grid[:, :, :1]], dim=2) for grid in (left, right))
            of_right = torch.linspace(0, 1, self.num_knots + 1, dtype=left.dtype, device=left.device)[:, None]
            values = read_line(torch.lerp(left, right, of_right), 2 * share - 1)
            return rearrange(values, "b t 1 r -> (b t) r")


class ModulationBasis(nn.Module):
    """The scales and shifts of one layer out of the values that all layers share.

    Random, so that the values get a gradient while they are zero.

    Args:
        rank: R.
        num_channels: C.
    """

    def __init__(self, rank: int, num_channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.randn(rank, num_channels) / math.sqrt(rank))
        self.beta = nn.Parameter(torch.randn(rank, num_channels) / math.sqrt(rank))

    def forward(self, values: Float[Tensor, "N _"]) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N C"]]:
        """Scales, 1 where the values are zero, and shifts."""
        with torch.autocast(values.device.type, enabled=False):
            of_gamma, of_beta = values.chunk(2, dim=1)
            return 1 + of_gamma @ self.gamma, of_beta @ self.beta
