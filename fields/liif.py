"""LIIF, the local implicit image function (Chen, Liu, Wang, CVPR 2021).

An image is a grid of latents. The colour at a point is what one perceptron, shared by all images, makes of a latent
nearby and the offset from that latent's place to the point; with the ensemble, the mean of four such answers.

Shape legend
    B       images
    C       channels of features
    D       width of the first layer
    N       points per image
    h, w    height and width of the features
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float, Float32
from torch import Tensor, nn

from errors import InputError
from fields import liif_fast, liif_published
from fields.continuous_image import ContinuousImage
from fields.mlp import MLP

_FORMS = {"fast": liif_fast, "published": liif_published}


class LIIF(ContinuousImage):
    """A continuous image: an encoder and a local implicit image function.

    Args:
        encoder: From images to features; has ``out_dim``.
        hidden: Widths of the perceptron's hidden layers.
        unfold: Latents are features with their eight neighbours ("feature unfolding").
        ensemble: Four latents answer and are blended by areas ("local ensemble"); else the nearest alone.
        cell: The perceptron is told the size of the pixel that is asked for ("cell decoding").
        form: "published" computes as the paper writes it, "fast" the same values with fewer multiplications.
        max_cell_scale: Show the perceptron no pixel smaller than at this magnification, the largest that it was
            trained at, as evaluations of LTE do (there 4); None, as published, shows it all.
    """

    def __init__(
        self,
        encoder: nn.Module,
        hidden: Sequence[int] = (256, 256, 256, 256),
        unfold: bool = True,
        ensemble: bool = True,
        cell: bool = True,
        form: str = "fast",
        max_cell_scale: float | None = None,
    ) -> None:
        super().__init__(encoder)
        if max_cell_scale is not None and not max_cell_scale > 0:
            raise InputError(f"max_cell_scale {max_cell_scale}: give a magnification above 0, or none")
        if form not in _FORMS:
            raise InputError(f"form {form!r}: give fast or published")
        latent_dim = encoder.out_dim * (9 if unfold else 1)
        self.imnet = MLP(latent_dim + (4 if cell else 2), 3, hidden)
        self.unfold, self.ensemble, self.cell = unfold, ensemble, cell
        self.form, self.max_cell_scale = form, max_cell_scale

    @property
    def receptive_field(self) -> int | None:
        """How many pixels of the image, beyond the one that a point lies in, its colour depends on to each side."""
        radius = self.encoder.receptive_field
        return None if radius is None else radius + self.unfold + self.ensemble

    def scaled_cell(self, cell: Float32[Tensor, "B N 2"] | None, size: Sequence[int]) -> Tensor | None:
        """Cells in half latent spacings, ``2 / magnification``, as the perceptron sees them; None if it does not.

        Args:
            cell: In the units of coordinates.
            size: Height and width of the features.
        """
        if not self.cell:
            return None
        if cell is None:
            raise InputError("cell: this model decodes cells, so give the pixel size at every point")
        scaled = cell * cell.new_tensor(tuple(size))
        return scaled if self.max_cell_scale is None else scaled.clamp_min(2 / self.max_cell_scale)

    def prepare(self, features: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D h w"]:
        return _FORMS[self.form].prepare(self.imnet, features, self.unfold)

    def query(
        self, prepared: Float[Tensor, "B D h w"], coords: Float32[Tensor, "B N 2"], cell: Tensor | None
    ) -> Float[Tensor, "B N 3"]:
        scaled = self.scaled_cell(cell, prepared.shape[-2:])
        return _FORMS[self.form].query(self.imnet, prepared, coords, scaled, self.ensemble)
