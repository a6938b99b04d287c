"""RCAN: groups of residual blocks with channel attention (Zhang et al., ECCV 2018).

Channel attention averages over the whole image, so a feature depends on every pixel: a tile of an image has other
features than the image.

Shape legend
    B       images
    h, w    height and width
    C       channels
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from fields.encoders.layers import conv3, upsampling_tail


class ChannelAttention(nn.Module):
    """Scales each channel by a factor in (0, 1) that is read from the means of all.

    Args:
        num_features: Channels.
        reduction: How many times narrower the layer between is.
    """

    def __init__(self, num_features: int, reduction: int) -> None:
        super().__init__()
        narrow = num_features // reduction
        squeeze, widen = nn.Conv2d(num_features, narrow, 1), nn.Conv2d(narrow, num_features, 1)
        self.conv_du = nn.Sequential(squeeze, nn.ReLU(inplace=True), widen, nn.Sigmoid())

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
        return x * self.conv_du(x.mean(dim=(2, 3), keepdim=True))


class AttentionBlock(nn.Module):
    """Convolution, ReLU, convolution, channel attention; added to the input.

    Args:
        num_features: Channels.
        reduction: Of the attention.
    """

    def __init__(self, num_features: int, reduction: int) -> None:
        super().__init__()
        first, second = conv3(num_features, num_features), conv3(num_features, num_features)
        self.body = nn.Sequential(first, nn.ReLU(inplace=True), second, ChannelAttention(num_features, reduction))

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
        return x + self.body(x)


class ResidualGroup(nn.Module):
    """Attention blocks and a convolution; added to the input.

    Args:
        num_blocks: Attention blocks.
        num_features: Channels.
        reduction: Of the attention.
    """

    def __init__(self, num_blocks: int, num_features: int, reduction: int) -> None:
        super().__init__()
        blocks = [AttentionBlock(num_features, reduction) for _ in range(num_blocks)]
        self.body = nn.Sequential(*blocks, conv3(num_features, num_features))

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
        return x + self.body(x)


class RCAN(nn.Module):
    """The RCAN encoder.

    Args:
        num_groups: Residual groups.
        num_blocks: Attention blocks per group.
        num_features: Channels.
        reduction: How many times narrower the attention's layer between is.
        upscale: Magnification of the tail that makes an image; None gives features.
    """

    receptive_field = None

    def __init__(
        self,
        num_groups: int = 10,
        num_blocks: int = 20,
        num_features: int = 64,
        reduction: int = 16,
        upscale: int | None = None,
    ) -> None:
        super().__init__()
        groups = [ResidualGroup(num_blocks, num_features, reduction) for _ in range(num_groups)]
        self.head = nn.Sequential(conv3(3, num_features))
        self.body = nn.Sequential(*groups, conv3(num_features, num_features))
        self.tail = nn.Identity() if upscale is None else upsampling_tail(num_features, upscale)
        self.out_dim = num_features if upscale is None else 3

    def forward(self, image: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B out_dim H W"]:
        x = self.head(image)
        return self.tail(x + self.body(x))
