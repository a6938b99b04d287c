"""MetaSR (Hu et al., "Meta-SR: A Magnification-Arbitrary Network for Super-Resolution", CVPR 2019), as LIIF's baseline.

A perceptron makes, for every point, the weights of a linear layer from the unfolded features of one latent to the
colour. Latents and points are counted from the upper left corners of their cells.

Shape legend
    B       images
    C       channels of the encoder's features
    K       channels of unfolded features, 9 C
    N       points per image
    h, w    height and width of the features
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from errors import InputError
from fields.continuous_image import ContinuousImage
from fields.liif_geometry import MARGIN, SHIFT
from fields.mlp import MLP
from fields.unfolding import unfold


def latent_of_corner(
    coords: Float32[Tensor, "B N 2"], cell: Float32[Tensor, "B N 2"], size: tuple[int, int]
) -> tuple[Int64[Tensor, "B N"], Float32[Tensor, "B N 2"]]:
    """The latent whose cell a pixel's corner lies nearest to, and the way from its corner, in latent spacings.

    Args:
        coords: Centres of pixels (y, x) in [-1, 1].
        cell: Sizes of the pixels, in the same units.
        size: Height and width of the features.
    """
    counts = coords.new_tensor(size)
    corner = coords - cell / 2
    points = (corner + SHIFT).clamp(-1 + MARGIN, 1 - MARGIN)
    place = torch.round(((points + 1) * counts - 1) / 2)
    offset = (corner - (2 * place / counts - 1)) * counts / 2
    row, column = rearrange(place.long(), "b n yx -> yx b n")
    return row * size[1] + column, offset


class MetaSR(ContinuousImage):
    """A continuous image: an encoder, and per point a linear layer that a perceptron predicts.

    Args:
        encoder: From images to features; has ``out_dim``.
        hidden: Width of the perceptron's hidden layer.
    """

    def __init__(self, encoder: nn.Module, hidden: int = 256) -> None:
        super().__init__(encoder)
        self.imnet = MLP(3, encoder.out_dim * 9 * 3, (hidden,))

    @property
    def receptive_field(self) -> int | None:
        """How many pixels of the image, beyond the one that a point lies in, its colour depends on to each side."""
        radius = self.encoder.receptive_field
        return None if radius is None else radius + 2

    def prepare(self, features: Float[Tensor, "B C h w"]) -> Float[Tensor, "B K h w"]:
        return unfold(features)

    def query(
        self, prepared: Float[Tensor, "B K h w"], coords: Float32[Tensor, "B N 2"], cell: Tensor | None
    ) -> Float[Tensor, "B N 3"]:
        if cell is None:
            raise InputError("cell: MetaSR needs the pixel size at every point")
        size = (prepared.shape[-2], prepared.shape[-1])
        index, offset = latent_of_corner(coords, cell, size)
        shrinking = cell[..., :1] * (size[0] / 2)
        layers = self.imnet(torch.cat((offset, shrinking), dim=-1).to(self.imnet.layers[0].weight.dtype))
        table = rearrange(prepared, "b k h w -> b (h w) k")
        latents = table.gather(1, index[..., None].expand(-1, -1, table.shape[-1]))
        return torch.einsum("bnk,bnkc->bnc", latents.to(layers.dtype), rearrange(layers, "b n (k c) -> b n k c", c=3))
