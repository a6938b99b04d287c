"""The image that an encoder with a magnifying tail makes, read at points: a fixed magnification among continuous ones.

Shape legend
    B       images
    N       points per image
    h, w    height and width of the tail's image
"""

from __future__ import annotations

from einops import rearrange
from jaxtyping import Float, Float32
from torch import Tensor

from fields.continuous_image import ContinuousImage
from fields.liif_geometry import members


class NearestReadout(ContinuousImage):
    """The colour of the pixel in which a point lies, of the image that the encoder makes.

    Args:
        encoder: From images to images; its ``out_dim`` is 3.
    """

    @property
    def receptive_field(self) -> int | None:
        """How many pixels of the image, beyond the one that a point lies in, its colour depends on to each side."""
        return self.encoder.receptive_field

    def query(
        self, prepared: Float[Tensor, "B 3 h w"], coords: Float32[Tensor, "B N 2"], cell: Tensor | None
    ) -> Float[Tensor, "B N 3"]:
        index = members(coords, (prepared.shape[-2], prepared.shape[-1]), ensemble=False).index[0]
        table = rearrange(prepared, "b c h w -> b (h w) c")
        return table.gather(1, index[..., None].expand(-1, -1, 3))
