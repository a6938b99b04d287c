"""Each feature with its eight neighbours, and the convolution that a linear layer on them is.

Shape legend
    B       images
    C       channels
    D       outputs of the linear layer
    h, w    height and width
"""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor


def unfold(features: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 9*C h w"]:
    """The 3x3 neighbourhood of every place as channels, with zeros beyond the border.

    Channel ``9 c + 3 ky + kx`` is channel c of the neighbour (ky - 1, kx - 1): LIIF's "feature unfolding".
    """
    height, width = features.shape[-2:]
    return rearrange(F.unfold(features, 3, padding=1), "b c (h w) -> b c h w", h=height, w=width)


def linear_on_features(
    features: Float[Tensor, "B C h w"], weight: Float[Tensor, "D K"], bias: Float[Tensor, " D"]
) -> Float[Tensor, "B D h w"]:
    """A linear layer on the unfolded features of every place, or on the features themselves, as one convolution.

    Args:
        features: Not unfolded.
        weight: With 9C columns it is a 3x3 convolution, with C a 1x1 convolution.
        bias: Of the layer.
    """
    side = 3 if weight.shape[1] == 9 * features.shape[1] else 1
    kernel = rearrange(weight, "d (c ky kx) -> d c ky kx", ky=side, kx=side)
    return F.conv2d(features, kernel, bias, padding=side // 2)
