"""A picture as a perceptron on random Fourier features, with or without coordinate-aware modulation (CAM).

Shape legend
    N       points
    F       frames
    h, w    height and width of a window
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from einops import repeat
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.coords import CAM_IMAGE, checked_size
from fields.encodings import FourierFeatures
from fields.interface import CHUNK, render_points
from fields.modulated_mlp import ModulatedMLP
from fields.modulation import CAM, Norm


class ImageNetwork(nn.Module):
    """Fourier features of a point in [0, 1], rectified layers, a sigmoid (Tancik et al. 2020; CAM, Lee et al. 2024).

    Args:
        num_frequencies: Of the features.
        sigma: Standard deviation of the frequencies: how fine the detail is that can be learned.
        hidden: Widths of the hidden layers.
        knots: Of the grids, rows and columns; None: no modulation, and no norm.
        norm: What is standardised before it: "layer" the channels of each point, "none" nothing.
    """

    def __init__(
        self,
        num_frequencies: int = 256,
        sigma: float = 10.0,
        hidden: Sequence[int] = (256, 256, 256),
        knots: Sequence[int] | None = (32, 32),
        norm: Norm = "layer",
    ) -> None:
        super().__init__()
        if num_frequencies < 1 or not sigma > 0:
            raise InputError(f"num_frequencies {num_frequencies}, sigma {sigma}: give at least 1, and more than 0")
        if knots is not None and (len(knots) != 2 or min(knots) < 2):
            raise InputError(f"knots {list(knots)}: give rows and columns of the grids, at least 2 of each, or null")
        self.encoding = FourierFeatures(2, num_frequencies, float(sigma))
        modulation = partial(CAM, tuple(knots), norm=norm) if knots is not None else None
        self.mlp = ModulatedMLP(self.encoding.out_dim, 3, hidden, modulation)

    def forward(self, v: Float[Tensor, "N 2"]) -> Float[Tensor, "N 3"]:
        """Colours in [0, 1].

        Args:
            v: Points (y, x) in [0, 1].
        """
        return self.mlp(self.encoding(v), 2 * v - 1).sigmoid()


class CAMImage(nn.Module):
    """A field of (y, x) that is fitted to one picture.

    Args:
        size: Height and width of that picture.
        num_frequencies: Of the features.
        sigma: Standard deviation of the frequencies per length of the picture.
        hidden: Widths of the hidden layers.
        knots: Of the grids, rows and columns; None: no modulation, and no norm.
        norm: What is standardised before it: "layer" the channels of each point, "none" nothing.
    """

    def __init__(
        self,
        size: Sequence[int],
        num_frequencies: int = 256,
        sigma: float = 10.0,
        hidden: Sequence[int] = (256, 256, 256),
        knots: Sequence[int] | None = (32, 32),
        norm: Norm = "layer",
    ) -> None:
        super().__init__()
        self.size = checked_size(size)
        self.network = ImageNetwork(num_frequencies, sigma, hidden, knots, norm)

    def forward(self, coords: Float[Tensor, "N 2"]) -> Float[Tensor, "N 3"]:
        """Colours at points, in [-1, 1].

        Args:
            coords: (y, x) in [-1, 1].
        """
        return 2 * self.network(CAM_IMAGE.of(coords, self.size)) - 1

    def render(
        self, t: Float[Tensor, " F"], size: Sequence[int], window: Sequence[int] | None = None, chunk: int = CHUNK
    ) -> Float[Tensor, "F 3 h w"]:
        """The picture, or a window of it, at any size, once per moment, without gradients.

        Args:
            t: Moments, which change nothing.
            size: Height and width of the whole picture in pixels.
            window: (y0, x0, y1, x1), half open; None is the whole picture.
            chunk: Points that are evaluated at once.
        """
        picture = render_points(self, None, size, window, chunk, t.device)
        return repeat(picture, "1 c h w -> f c h w", f=len(t))
