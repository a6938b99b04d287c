"""A function of one variable as a perceptron without activations, bent by coordinate-aware modulation alone (CAM).

Shape legend
    N       points
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.coords import CAM_SIGNAL
from fields.encodings import PositionalEncoding
from fields.modulated_mlp import ModulatedMLP
from fields.modulation import CAM


def octaves(count: int) -> PositionalEncoding:
    """The encoding of x: itself, sines, cosines, of angles x, 2 x, 4 x and so on.

    Args:
        count: Angles.
    """
    return PositionalEncoding(1, count, scale=1.0, layout="wave octave axis")


class SignalNetwork(nn.Module):
    """Linear layers on x in [0, 1], each but the last followed by a scale and a shift that depend on x.

    Args:
        hidden: Widths of the layers in between.
        num_octaves: Of the encoding of x, whose angles are x times powers of two; 0: x itself.
        knots: Of the grids; 0: no modulation, and the whole is linear in what enters.
    """

    def __init__(self, hidden: Sequence[int] = (64, 64, 64, 64), num_octaves: int = 0, knots: int = 64) -> None:
        super().__init__()
        if num_octaves < 0 or knots < 0 or knots == 1:
            raise InputError(f"num_octaves {num_octaves}, knots {knots}: give 0 for none, else at least 1 and 2")
        self.encoding = octaves(num_octaves) if num_octaves else nn.Identity()
        modulation = partial(CAM, (knots,), padding="zeros") if knots else None
        self.mlp = ModulatedMLP(1 + 2 * num_octaves, 1, hidden, modulation, activation=None)

    def forward(self, x: Float[Tensor, "N 1"]) -> Float[Tensor, "N 1"]:
        return self.mlp(self.encoding(x), 2 * x - 1)


class CAMSignal(nn.Module):
    """A field of one axis, fitted to samples of a function.

    Args:
        size: Samples, by whose number coordinates are placed: the first and the last are the ends of the grids.
        hidden: Widths of the layers in between.
        num_octaves: Of the encoding; 0: none.
        knots: Of the grids; 0: no modulation.
    """

    def __init__(
        self,
        size: Sequence[int],
        hidden: Sequence[int] = (64, 64, 64, 64),
        num_octaves: int = 0,
        knots: int = 64,
    ) -> None:
        super().__init__()
        if len(size) != 1 or size[0] < 2:
            raise InputError(f"size {tuple(size)}: give the number of samples, at least 2")
        self.size = (int(size[0]),)
        self.network = SignalNetwork(hidden, num_octaves, knots)

    def forward(self, coords: Float[Tensor, "N 1"]) -> Float[Tensor, "N 1"]:
        """Values at points.

        Args:
            coords: In [-1, 1], samples at the centres of their cells.
        """
        return self.network(CAM_SIGNAL.of(coords, self.size))
