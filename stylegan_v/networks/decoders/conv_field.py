"""The default decoder: few convolutions, the first where the features are, the others where pixels are asked for.

Shape legend
    N       frames
    C, h, w channels, height and width of the features
    D, V    dimensions of a style and of a time embedding
    Y, X    height and width of a window
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from stylegan_v.networks.decoder import Decoder, DecoderInputs, Mode, Prepared
from stylegan_v.networks.decoders.gathering import read_columns, read_rows
from stylegan_v.networks.decoders.latent_layer import LatentLayer, scaled
from stylegan_v.networks.view import View

_APRON = 2  # pixels that two 3x3 convolutions see around a window
_SLOPE, _GAIN = 0.2, math.sqrt(2)  # of the leaky ReLU, and what brings its output back to unit variance


class ConvField(Decoder):
    """A 3x3 convolution of the features, read between them by C1 blending, and two more on the pixels asked for.

    Those see an apron around the window, so that it equals the crop of the whole; beyond the frame, the features of its
    border go on.

    Args:
        inputs: Sizes of the generator it belongs to; given by it.
        width: Channels of the first layer.
        hidden: Channels of the second.
        max_scale: The largest magnification that is told apart: that of training.
        mode: Add to the image of the whole backbone, or do without its last block.

    Raises:
        InputError: A size cannot be.
    """

    def __init__(
        self,
        inputs: DecoderInputs,
        width: int = 64,
        hidden: int = 32,
        max_scale: float = 4.0,
        mode: Mode = "residual",
    ) -> None:
        super().__init__(inputs, mode)
        if hidden < 1:
            raise InputError(f"decoder: hidden {hidden}: give at least 1")
        self.values_per_pixel = width
        self.first = LatentLayer(inputs, width, max_scale)
        self.weight = nn.Parameter(torch.randn(hidden, width, 3, 3))
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.last_weight = nn.Parameter(torch.zeros(3, hidden, 3, 3))
        self.last_bias = nn.Parameter(torch.zeros(3))

    def prepare(
        self, features: Float[Tensor, "N C h w"], ws: Float[Tensor, "M D"], motion_v: Float[Tensor, "N V"]
    ) -> Prepared:
        return (self.first.on_latents(features),)

    def query(self, prepared: Prepared, view: View) -> Float[Tensor, "N 3 Y X"]:
        (latents,) = prepared
        rows, columns = self.first.around(view, _APRON)

        # What is the same along an axis is added before the other one is read: blends pass it on unchanged.
        of_rows, of_columns = (self.first.on_offset(found.offset, axis) for axis, found in enumerate((rows, columns)))
        x = read_rows(latents, rows).add_((of_rows + self.first.on_cell(view))[:, None])
        x = F.leaky_relu_(read_columns(x, columns).add_(of_columns), _SLOPE)

        # Convolutions on pixels; the first one's gain makes up for the activation before it.
        x = rearrange(x, "n y x k -> n k y x")
        x = F.leaky_relu_(F.conv2d(x, scaled(self.weight, _GAIN).to(x.dtype), self.bias.to(x.dtype)), _SLOPE)
        return F.conv2d(x, scaled(self.last_weight, _GAIN).to(x.dtype), self.last_bias.to(x.dtype))
