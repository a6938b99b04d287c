"""EDSR: residual blocks without normalisation (Lim et al., "Enhanced Deep Residual Networks", CVPRW 2017).

Shape legend
    B       images
    h, w    height and width
    C       channels
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from fields.encoders.layers import TAIL_RADIUS, conv3, upsampling_tail


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution; scaled and added to the input.

    Args:
        num_features: Channels.
        res_scale: Factor of what is added.
    """

    def __init__(self, num_features: int, res_scale: float = 1.0) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv3(num_features, num_features), nn.ReLU(inplace=True), conv3(num_features, num_features)
        )
        self.res_scale = res_scale

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
        return x + self.res_scale * self.body(x)


class EDSR(nn.Module):
    """The EDSR encoder; the defaults are EDSR-baseline.

    Args:
        num_blocks: Residual blocks: 16 (baseline) or 32.
        num_features: Channels: 64 (baseline) or 256.
        res_scale: Factor of what each block adds: 1 (baseline) or 0.1.
        upscale: Magnification of the tail that makes an image; None gives features.
    """

    def __init__(
        self, num_blocks: int = 16, num_features: int = 64, res_scale: float = 1.0, upscale: int | None = None
    ) -> None:
        super().__init__()
        blocks = [ResidualBlock(num_features, res_scale) for _ in range(num_blocks)]
        self.head = nn.Sequential(conv3(3, num_features))
        self.body = nn.Sequential(*blocks, conv3(num_features, num_features))
        self.tail = nn.Identity() if upscale is None else upsampling_tail(num_features, upscale)
        self.out_dim = num_features if upscale is None else 3
        self.receptive_field = 2 + 2 * num_blocks + (0 if upscale is None else TAIL_RADIUS)

    def forward(self, image: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B out_dim H W"]:
        x = self.head(image)
        return self.tail(x + self.body(x))
