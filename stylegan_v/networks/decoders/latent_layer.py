"""The first layer of decoders that read the features of the backbone between their centres.

Shape legend
    N       frames
    C, h, w channels, height and width of the features
    K       channels of the layer
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from jaxtyping import Float, Float32
from torch import Tensor, nn

from errors import InputError
from fields.unfolding import linear_on_features
from stylegan_v.networks.decoder import DecoderInputs
from stylegan_v.networks.decoders.gathering import Between, between
from stylegan_v.networks.view import View


def scaled(weight: Float[Tensor, "O ..."], gain: float = 1.0) -> Float[Tensor, "O ..."]:
    """Weights of unit variance, scaled by their fan-in at run time (Karras et al. 2018, section 4.1)."""
    return weight * (gain / math.sqrt(weight[0].numel()))


class LatentLayer(nn.Module):
    """A layer on latents with their eight neighbours, on relative coordinates and on the size of a pixel.

    All of it is linear, so its part on the latents is a convolution, done once for all views.

    Args:
        inputs: Sizes of the generator.
        width: K.
        max_scale: The largest magnification that is told apart; larger ones look like it.

    Raises:
        InputError: There is no width, or the magnification is below 1.
    """

    def __init__(self, inputs: DecoderInputs, width: int, max_scale: float) -> None:
        super().__init__()
        if width < 1 or max_scale < 1:
            raise InputError(f"decoder: width {width}, max_scale {max_scale}: give at least 1 of both")
        self.inputs, self.max_scale = inputs, max_scale
        self.weight = nn.Parameter(torch.randn(width, 9 * inputs.channels))
        self.bias = nn.Parameter(torch.zeros(width))
        # Zero, as the size of a pixel: random ones paint the grid of latents over every frame, as stripes that training
        # makes larger before it makes them smaller.
        self.of_offset = nn.Parameter(torch.zeros(2, width))
        self.of_cell = nn.Parameter(torch.zeros(2, width))

    def on_latents(self, features: Float[Tensor, "N C h w"]) -> Float[Tensor, "N h w K"]:
        """The part that does not depend on the view, channels last."""
        mapped = linear_on_features(features, scaled(self.weight).to(features.dtype), self.bias.to(features.dtype))
        return rearrange(mapped, "n k h w -> n h w k").contiguous()

    def on_offset(self, offset: Float32[Tensor, " n"], axis: int) -> Float[Tensor, "n K"]:
        """The part on the coordinates relative to latents along one axis, given in their spacings."""
        return (2 * offset[:, None]) * self.of_offset[axis]

    def on_cell(self, view: View) -> Float[Tensor, " K"]:
        """The part on the size of a pixel: its binary logarithm in native pixels, along both axes."""
        native = zip(self.inputs.resolution, view.size, strict=True)
        logs = [max(math.log2(own / size), -math.log2(self.max_scale)) for own, size in native]
        return logs[0] * self.of_cell[0] + logs[1] * self.of_cell[1]

    def around(self, view: View, apron: int) -> tuple[Between, Between]:
        """The latents around the rows and columns of a view, and so many more on either side."""
        rows, columns = (
            between(
                self.inputs.in_features(view.places(axis, self.inputs.resolution, apron), axis),
                self.inputs.feature_size[axis],
                self.weight.device,
            )
            for axis in (0, 1)
        )
        return rows, columns
