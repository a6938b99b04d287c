"""A video as a perceptron on random Fourier features of (t, y, x) (Tancik et al., NeurIPS 2020).

Shape legend
    N       points
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.coords import FOURIER_FEATURES
from fields.encodings import FourierFeatures
from fields.mlp import MLP
from fields.point_video import PointVideo


class FourierMLP(nn.Module):
    """A rectified perceptron on random Fourier features, whose last layer is linear or a sigmoid.

    Args:
        in_dim: Axes of a point.
        num_frequencies: Of the features.
        sigma: Standard deviation of the frequencies, for all axes or one per axis.
        hidden: Widths of the hidden layers.
        final: "linear", or "sigmoid" for values in [0, 1].
    """

    def __init__(
        self,
        in_dim: int = 3,
        num_frequencies: int = 256,
        sigma: float | Sequence[float] = 10.0,
        hidden: Sequence[int] = (256, 256, 256),
        final: str = "sigmoid",
    ) -> None:
        super().__init__()
        if final not in ("linear", "sigmoid"):
            raise InputError(f"final {final!r}: give linear or sigmoid")
        spread = float(sigma) if isinstance(sigma, (int, float)) else tuple(map(float, sigma))
        self.encoding = FourierFeatures(in_dim, num_frequencies, spread)
        self.mlp = MLP(self.encoding.out_dim, 3, hidden)
        self.final = nn.Sigmoid() if final == "sigmoid" else nn.Identity()

    def forward(self, v: Float[Tensor, "*N in_dim"]) -> Float[Tensor, "*N 3"]:
        return self.final(self.mlp(self.encoding(v)))


class FFN(PointVideo):
    """A video as a perceptron on Fourier features.

    Args:
        size: Frames, height and width of the video that it is fitted to.
        num_frequencies: Of the features.
        sigma: Standard deviation of the frequencies of t, y and x per length of the video: how fine the detail is that
            can be learned.
        hidden: Widths of the hidden layers.
        final: "linear", or "sigmoid" as in its authors' program, stretched to [-1, 1].
    """

    def __init__(
        self,
        size: Sequence[int],
        num_frequencies: int = 256,
        sigma: Sequence[float] = (5.0, 20.0, 20.0),
        hidden: Sequence[int] = (256, 256, 256),
        final: str = "linear",
    ) -> None:
        super().__init__(size)
        self.network = FourierMLP(3, num_frequencies, sigma, hidden, final)
        self.in_unit_range = final == "sigmoid"

    def forward(self, coords: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"]:
        values = self.network(FOURIER_FEATURES.of(coords, self.size))
        return 2 * values - 1 if self.in_unit_range else values
