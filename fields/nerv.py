"""A video as a network from the number of a frame to the frame: NeRV (Chen et al., NeurIPS 2021).

Shape legend
    F       frames
    C, D    channels before and after a block
    H, W    height and width of whole frames
    h, w    within the network
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.coords import NERV
from fields.frame_video import FrameVideo

ACTIVATIONS = {"swish": nn.SiLU, "gelu": nn.GELU, "relu": nn.ReLU}
OUTPUTS = {"tanh": lambda x: (x.tanh() + 1) / 2, "sigmoid": torch.sigmoid}  # both in [0, 1]


def encode_moments(t: Float[Tensor, " F"], base: float, num_octaves: int) -> Float[Tensor, "F 2*{num_octaves}"]:
    """Sines and cosines of ``base^l pi t`` in turn, l from 0 (eq. 1); in float64, as the last turn millions of times.

    Args:
        t: Number of the frame over the number of frames.
        base: Ratio of neighbouring frequencies.
        num_octaves: Frequencies.
    """
    frequencies = t.new_tensor([math.pi * base**octave for octave in range(num_octaves)], dtype=torch.float64)
    angles = t.double()[:, None] * frequencies
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1).to(t.dtype)


class NeRVBlock(nn.Module):
    """A convolution whose channels become pixels, and an activation (fig. 2 b).

    Args:
        in_dim: Channels before.
        out_dim: Channels after.
        stride: Magnification.
        activation: One of `ACTIVATIONS`.
    """

    def __init__(self, in_dim: int, out_dim: int, stride: int, activation: str = "swish") -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_dim, out_dim * stride**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(stride)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Float[Tensor, "F C h w"]) -> Float[Tensor, "F D H W"]:
        return self.activation(self.shuffle(self.conv(x)))


class NeRVNetwork(nn.Module):
    """From moments to frames in [0, 1]; the defaults are NeRV-S for 720 x 1280, ``fc_dim`` 58 and 112 NeRV-M and -L.

    Args:
        base: Ratio of neighbouring frequencies of the encoding of moments.
        num_octaves: Of these frequencies.
        stem: Widths of the perceptron's hidden layers.
        fc_size: Height and width of what the perceptron gives.
        fc_dim: Its channels.
        strides: Magnification by each block.
        expansion: Channels of the first block, over ``fc_dim``.
        reduction: By what channels are divided at each further block that magnifies.
        lower_width: At least so many channels after each of these.
        activation: "swish", "gelu" or "relu".
        all_heads: Every block has a picture; else the last.
        output: "tanh" or "sigmoid", brought to [0, 1].
    """

    def __init__(
        self,
        base: float = 1.25,
        num_octaves: int = 40,
        stem: Sequence[int] = (512,),
        fc_size: Sequence[int] = (9, 16),
        fc_dim: int = 26,
        strides: Sequence[int] = (5, 2, 2, 2, 2),
        expansion: float = 1.0,
        reduction: int = 2,
        lower_width: int = 96,
        activation: str = "swish",
        all_heads: bool = False,
        output: str = "tanh",
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS or output not in OUTPUTS:
            raise InputError(f"activation {activation!r}, output {output!r}: give {list(ACTIVATIONS)}, {list(OUTPUTS)}")
        if not strides or min(strides) < 1:
            raise InputError(f"strides {tuple(strides)}: give a magnification of at least 1 for each block")
        self.base, self.num_octaves, self.fc_size = base, num_octaves, tuple(fc_size)
        widths = [2 * num_octaves, *stem, fc_size[0] * fc_size[1] * fc_dim]
        layers = [(nn.Linear(n, m), ACTIVATIONS[activation]()) for n, m in pairwise(widths)]
        self.stem = nn.Sequential(*(part for layer in layers for part in layer))
        channels = block_widths(fc_dim, strides, expansion, reduction, lower_width)
        pairs = zip([fc_dim, *channels], channels, strides, strict=False)
        self.blocks = nn.ModuleList(NeRVBlock(n, m, stride, activation) for n, m, stride in pairs)
        heads = range(len(channels)) if all_heads else [len(channels) - 1]
        self.heads = nn.ModuleDict({str(i): nn.Conv2d(channels[i], 3, 1) for i in heads})
        self.output = output
        self.out_size = tuple(side * math.prod(strides) for side in fc_size)

    def forward(self, t: Float[Tensor, " F"]) -> list[Float[Tensor, "F 3 _ _"]]:
        """Pictures of the blocks that have one, smallest first; the last is the frame.

        Args:
            t: Number of the frame over the number of frames.
        """
        x = self.stem(encode_moments(t, self.base, self.num_octaves))
        x = rearrange(x, "f (c h w) -> f c h w", h=self.fc_size[0], w=self.fc_size[1])
        pictures = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if str(number) in self.heads:
                pictures.append(OUTPUTS[self.output](self.heads[str(number)](x)))
        return pictures


def block_widths(fc_dim: int, strides: Sequence[int], expansion: float, reduction: int, lower_width: int) -> list[int]:
    """Channels after each block; arguments as for `NeRVNetwork`."""
    widths = [int(fc_dim * expansion)]
    for stride in strides[1:]:
        widths.append(max(widths[-1] // (1 if stride == 1 else reduction), lower_width))
    return widths


class NeRV(FrameVideo):
    """A video as a NeRV: whole frames of one size; other sizes and single points are read from these, linearly.

    Args:
        size: Frames, height and width of the video that it is fitted to.
        network: From moments to frames of this height and width.
    """

    def __init__(self, size: Sequence[int], network: NeRVNetwork) -> None:
        super().__init__(size, network.out_size)
        self.network = network

    def frames(self, t: Float[Tensor, " F"]) -> Float[Tensor, "F 3 H W"]:
        """Whole frames, nominally in [-1, 1].

        Args:
            t: Moments in [-1, 1].
        """
        return 2 * self.network(NERV.of(t[:, None], self.size[:1])[:, 0])[-1] - 1
