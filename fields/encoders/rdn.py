"""RDN: residual dense blocks (Zhang et al., "Residual Dense Network for Image Super-Resolution", CVPR 2018).

Shape legend
    B       images
    h, w    height and width
    C       channels
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fields.encoders.layers import TAIL_RADIUS, conv3, shuffle_steps


class DenseLayer(nn.Module):
    """Appends the rectified 3x3 convolution of all channels so far to them.

    Args:
        in_dim: Channels so far.
        growth: Channels added.
    """

    def __init__(self, in_dim: int, growth: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(conv3(in_dim, growth), nn.ReLU())

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D h w"]:
        return torch.cat((x, self.conv(x)), dim=1)


class ResidualDenseBlock(nn.Module):
    """Dense layers, fused by a 1x1 convolution and added to the input.

    Args:
        num_features: Channels in and out.
        growth: Channels that each layer adds.
        num_layers: Dense layers.
    """

    def __init__(self, num_features: int, growth: int, num_layers: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(*[DenseLayer(num_features + i * growth, growth) for i in range(num_layers)])
        self.LFF = nn.Conv2d(num_features + num_layers * growth, num_features, 1)

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
        return self.LFF(self.convs(x)) + x


def _upsampling_net(num_features: int, growth: int, upscale: int) -> nn.Sequential:
    # Unlike the tail of EDSR, the channels after each shuffle are the growth's.
    steps: list[nn.Module] = []
    for i, factor in enumerate(shuffle_steps(upscale)):
        steps += [conv3(growth if i else num_features, growth * factor**2), nn.PixelShuffle(factor)]
    return nn.Sequential(*steps, conv3(growth, 3))


class RDN(nn.Module):
    """The RDN encoder; the defaults are configuration B (A: 20 blocks of 6 layers, growth 32).

    Args:
        num_blocks: Dense blocks.
        num_layers: Layers per block.
        growth: Channels that each layer adds.
        num_features: Channels between the blocks.
        upscale: Magnification of the tail that makes an image; None gives features.
    """

    def __init__(
        self,
        num_blocks: int = 16,
        num_layers: int = 8,
        growth: int = 64,
        num_features: int = 64,
        upscale: int | None = None,
    ) -> None:
        super().__init__()
        blocks = [ResidualDenseBlock(num_features, growth, num_layers) for _ in range(num_blocks)]
        fusion = [nn.Conv2d(num_blocks * num_features, num_features, 1), conv3(num_features, num_features)]
        self.SFENet1 = conv3(3, num_features)
        self.SFENet2 = conv3(num_features, num_features)
        self.RDBs = nn.ModuleList(blocks)
        self.GFF = nn.Sequential(*fusion)
        self.UPNet = nn.Identity() if upscale is None else _upsampling_net(num_features, growth, upscale)
        self.out_dim = num_features if upscale is None else 3
        self.receptive_field = 3 + num_blocks * num_layers + (0 if upscale is None else TAIL_RADIUS)

    def forward(self, image: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B out_dim H W"]:
        shallow = self.SFENet1(image)
        x = self.SFENet2(shallow)
        of_blocks = []
        for block in self.RDBs:
            x = block(x)
            of_blocks.append(x)
        return self.UPNet(self.GFF(torch.cat(of_blocks, dim=1)) + shallow)
