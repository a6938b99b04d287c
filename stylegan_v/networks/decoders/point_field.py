"""A decoder that answers for every point by itself: four latents are asked, their answers blended.

Shape legend
    N       frames
    C, h, w channels, height and width of the features
    K       channels of the layers
    M, D    styles, B or N, and the dimension of one
    V       dimension of a time embedding
    Y, X    height and width of a window
"""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from fields.modulation import LatentModulator
from stylegan_v.networks.decoder import Decoder, DecoderInputs, Mode, Prepared
from stylegan_v.networks.decoders.gathering import Between
from stylegan_v.networks.decoders.latent_layer import LatentLayer, scaled
from stylegan_v.networks.decoders.pace import Equalized
from stylegan_v.networks.view import View
from stylegan_v.ops.modulated_conv import per_image


def side(found: Between, upper: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of the latents on one side of places along an axis: their numbers, the offsets from them, their shares."""
    if upper:
        return found.upper, found.fraction - 1, found.share
    return found.lower, found.fraction, 1 - found.share


class PointField(Decoder):
    """A perceptron on the features around a point, an ensemble of four as in LIIF (Chen et al. 2021).

    Members are blended by smoothstep, so the field has continuous derivatives: its activation is smooth (SiLU). The
    style scales the layers.

    Args:
        inputs: Sizes of the generator it belongs to; given by it.
        width: Of the layers.
        num_hidden: Layers between the first, on the features, and the last.
        max_scale: The largest magnification that is told apart: that of training.
        mode: Add to the image of the whole backbone, or do without its last block.

    Raises:
        InputError: A size cannot be.
    """

    def __init__(
        self,
        inputs: DecoderInputs,
        width: int = 64,
        num_hidden: int = 1,
        max_scale: float = 4.0,
        mode: Mode = "residual",
    ) -> None:
        super().__init__(inputs, mode)
        self.values_per_pixel = 2 * width
        self.first = LatentLayer(inputs, width, max_scale)
        self.modulator = Equalized(LatentModulator(inputs.style_dim, [width] * (num_hidden + 1)))
        self.hidden = nn.ParameterList(torch.randn(width, width) for _ in range(num_hidden))
        self.biases = nn.ParameterList(torch.zeros(width) for _ in range(num_hidden))
        self.last_weight = nn.Parameter(torch.zeros(3, width))
        self.last_bias = nn.Parameter(torch.zeros(3))

    def prepare(
        self, features: Float[Tensor, "N C h w"], ws: Float[Tensor, "M D"], motion_v: Float[Tensor, "N V"]
    ) -> Prepared:
        factors = torch.stack(self.modulator(ws), dim=1)
        factors = per_image(rearrange(factors, "m l k -> m (l k)"), len(features))
        return self.first.on_latents(features), rearrange(1 + factors, "n (l k) -> n l 1 1 k", k=len(self.first.bias))

    def query(self, prepared: Prepared, view: View) -> Float[Tensor, "N 3 Y X"]:
        latents, factors = prepared
        rows, columns = self.first.around(view, apron=0)
        on_cell, total = self.first.on_cell(view), None
        for below, right in product((0, 1), repeat=2):
            row, y, of_row = side(rows, below)
            column, x, of_column = side(columns, right)
            known = self.first.on_offset(y, 0)[:, None] + self.first.on_offset(x, 1) + on_cell
            found = latents.index_select(1, row).index_select(2, column).to(known.dtype) + known
            # Shares are float32, and so are blends, whatever the layers' precision is.
            answer = self._answer(found, factors) * (of_row[:, None, None] * of_column[:, None])
            total = answer if total is None else total + answer
        return rearrange(total, "n y x c -> n c y x")

    def _answer(self, x: Float[Tensor, "N Y X K"], factors: Float[Tensor, "N l 1 1 K"]) -> Float[Tensor, "N Y X 3"]:
        x = F.silu(x) * factors[:, 0]
        for number, (weight, bias) in enumerate(zip(self.hidden, self.biases, strict=True)):
            x = F.silu(F.linear(x, scaled(weight), bias)) * factors[:, number + 1]
        return F.linear(x, scaled(self.last_weight), self.last_bias)
