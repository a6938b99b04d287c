"""From moments to frames and to how they follow from their neighbours: FFNeRV's network (Lee et al., ACM MM 2023).

Shape legend
    B       frames
    H, W    height and width of frames
    h, w    of flows
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.ffnerv.blocks import ConvBlock, QuantisedConv
from fields.ffnerv.latents import MultiResLatents
from fields.nerv import block_widths
from fields.quantisers import TanhFloor

NEIGHBOURS = (-2, -1, 1, 2)  # frames from the one that is made
_FLOW_STAGE = -3  # of the blocks, the one whose features become flows


class Heads(NamedTuple):
    """What the network gives for each moment.

    Attributes:
        flow: Two channels of flow for each neighbour, in its own pixels (x, y), then one for each of weights.
        frame: The independent frame in [0, 1], then two channels of weights: of it, and of the aggregated frame.
    """

    flow: Float[Tensor, "B 12 h w"]
    frame: Float[Tensor, "B 5 H W"]

    @property
    def independent(self) -> Float[Tensor, "B 3 H W"]:
        """The frame made without neighbours, in [0, 1]."""
        return self.frame[:, :3]


class FFNeRVNetwork(nn.Module):
    """Latent pictures of a moment, magnified by blocks; the defaults are the published "representation" with CAM.

    Args:
        latent_times: Knots of the latents at each resolution of time.
        latent_dim: Channels of all latents together.
        latent_size: Their height and width.
        strides: Magnification by each block, at least three.
        expansion: Channels of the first block, over ``latent_dim``.
        reduction: By what channels are divided at each further block that magnifies.
        lower_width: At least so many channels after each of these.
        convolution: "plain" or "compact", as for `magnifying_convolution`.
        cam_knots: Knots in time by which every channel is modulated, at least 2; None: FFNeRV without CAM.
        bits: Of weights, latents and knots while training and in files, of which one is the sign; None: no quantiser.
        head_bits: Of the weights of both heads; without ``bits`` it has no meaning.
    """

    def __init__(
        self,
        latent_times: Sequence[int] = (64, 128, 256, 512),
        latent_dim: int = 156,
        latent_size: Sequence[int] = (9, 16),
        strides: Sequence[int] = (5, 2, 2, 2, 2),
        expansion: float = 1.0,
        reduction: int = 2,
        lower_width: int = 96,
        convolution: str = "plain",
        cam_knots: int | None = 60,
        bits: int | None = None,
        head_bits: int = 8,
    ) -> None:
        super().__init__()
        if len(strides) < -_FLOW_STAGE or min(strides) < 1:
            raise InputError(
                f"strides {tuple(strides)}: give a magnification of at least 1 for each of 3 or more blocks"
            )
        if cam_knots is not None and cam_knots < 2:
            raise InputError(f"cam_knots {cam_knots}: give at least 2, between which time makes a difference, or none")
        quantiser, head_quantiser = (None, None) if bits is None else (TanhFloor(bits), TanhFloor(head_bits))
        self.latents = MultiResLatents(latent_times, latent_dim, latent_size, quantiser)
        widths = [latent_dim, *block_widths(latent_dim, strides, expansion, reduction, lower_width)]
        pairs = zip(pairwise(widths), strides, strict=True)
        self.blocks = nn.ModuleList(ConvBlock(n, m, s, cam_knots, convolution, quantiser) for (n, m), s in pairs)
        self.flow_head = QuantisedConv(widths[_FLOW_STAGE], 3 * len(NEIGHBOURS), 1, quantiser=head_quantiser)
        self.frame_head = QuantisedConv(widths[-1], 3 + 2, 1, quantiser=head_quantiser)
        self.out_size = tuple(side * math.prod(strides) for side in latent_size)

    def forward(self, t: Float[Tensor, " B"]) -> Heads:
        """What is known of moments.

        Args:
            t: Number of the frame over the number of frames.
        """
        x = self.latents(t)
        flow = x
        for number, block in enumerate(self.blocks, start=-len(self.blocks)):
            x = block(x, t)
            flow = x if number == _FLOW_STAGE else flow
        frame = self.frame_head(x)
        return Heads(self.flow_head(flow), torch.cat(((frame[:, :3].tanh() + 1) / 2, frame[:, 3:]), dim=1))
