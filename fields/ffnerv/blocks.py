"""Convolutions that magnify: FFNeRV's blocks, with coordinate-aware modulation between them and their activation.

Shape legend
    B       frames
    C, D    channels before and after a block
    h, w    height and width before a block
    H, W    after it
"""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.modulation import CAM

CONVOLUTIONS = ("plain", "compact")
_GROUPS, _LARGE_STRIDE = 8, 5  # of compact convolutions (FFNeRV's program)


class QuantisedConv(nn.Conv2d):
    """A convolution that keeps its size, with weights and biases as they will be stored.

    Args:
        in_dim: Channels before.
        out_dim: Channels after.
        width: Of the kernel, odd.
        groups: Of channels that do not see each other.
        quantiser: What weights and biases are stored as; None: as they are.
    """

    quantised_parameters = ("weight", "bias")

    def __init__(
        self, in_dim: int, out_dim: int, width: int, groups: int = 1, quantiser: nn.Module | None = None
    ) -> None:
        super().__init__(in_dim, out_dim, width, padding=width // 2, groups=groups)
        self.quantiser = quantiser

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D h w"]:
        weight, bias = self.weight, self.bias
        if self.quantiser is not None:
            weight, bias = self.quantiser(weight), self.quantiser(bias)
        return F.conv2d(x, weight, bias, padding=self.padding, groups=self.groups)


def magnifying_convolution(
    in_dim: int, out_dim: int, stride: int, convolution: str, quantiser: nn.Module | None
) -> nn.Sequential:
    """A convolution to the channels that become pixels.

    Args:
        in_dim: Channels before.
        out_dim: Channels after, of magnified pixels.
        stride: Magnification.
        convolution: "plain", 3x3; or "compact", 3x3 in 8 groups, then 1x1, but plain where the stride is 5.
        quantiser: As for `QuantisedConv`.

    Raises:
        InputError: If there is no such convolution, or channels cannot be grouped so.
    """
    if convolution not in CONVOLUTIONS:
        raise InputError(f"convolution {convolution!r}: give one of {list(CONVOLUTIONS)}")
    wide = out_dim * stride**2
    if convolution == "plain" or stride == _LARGE_STRIDE:
        return nn.Sequential(QuantisedConv(in_dim, wide, 3, quantiser=quantiser))
    if in_dim % _GROUPS or wide % _GROUPS:
        raise InputError(f"compact convolutions from {in_dim} to {wide} channels: both must be multiples of {_GROUPS}")
    grouped = QuantisedConv(in_dim, wide, 3, _GROUPS, quantiser)
    return nn.Sequential(grouped, QuantisedConv(wide, wide, 1, quantiser=quantiser))


class ConvBlock(nn.Module):
    """A convolution whose channels become pixels, modulation by time, and an activation (CAM, Lee et al. 2024).

    Args:
        in_dim: Channels before.
        out_dim: Channels after.
        stride: Magnification.
        cam_knots: Knots in time of the scale and the shift of every channel, which is standardised before; None:
            nothing stands between convolution and activation.
        convolution: As for `magnifying_convolution`.
        quantiser: What weights, biases and knots are stored as; None: as they are.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        stride: int,
        cam_knots: int | None = None,
        convolution: str = "plain",
        quantiser: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.conv = magnifying_convolution(in_dim, out_dim, stride, convolution, quantiser)
        self.shuffle = nn.PixelShuffle(stride)
        self.cam = None if cam_knots is None else CAM((cam_knots,), out_dim, "instance", quantiser=quantiser)

    def forward(self, x: Float[Tensor, "B C h w"], t: Float[Tensor, " B"]) -> Float[Tensor, "B D H W"]:
        """Features of magnified pixels.

        Args:
            x: Features.
            t: Number of the frame over the number of frames.
        """
        x = self.shuffle(self.conv(x))
        if self.cam is not None:
            x = self.cam(x, rearrange(2 * t - 1, "b -> b 1"))
        return F.gelu(x)
