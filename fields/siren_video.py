"""A video as a perceptron of sines in (t, y, x): SIREN (Sitzmann et al., NeurIPS 2020), and what it was compared with.

Shape legend
    N       points
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from fields.coords import SIREN
from fields.encodings import PositionalEncoding
from fields.mlp import MLP
from fields.point_video import PointVideo
from fields.siren import Siren


def octaves(in_dim: int, num_octaves: int) -> PositionalEncoding:
    """The encoding of `EncodedMLP`; arguments as there."""
    return PositionalEncoding(in_dim, num_octaves, layout="octave axis wave")


class EncodedMLP(nn.Module):
    """A rectified perceptron on NeRF's encoding, the baseline of SIREN's program.

    Args:
        in_dim: Axes of a point.
        out_dim: Channels of a value.
        num_octaves: Of the encoding.
        hidden: Widths of the hidden layers.
    """

    def __init__(self, in_dim: int, out_dim: int, num_octaves: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.encoding = octaves(in_dim, num_octaves)
        self.mlp = MLP(self.encoding.out_dim, out_dim, hidden)

    def forward(self, coords: Float[Tensor, "*N in_dim"]) -> Float[Tensor, "*N out_dim"]:
        return self.mlp(self.encoding(coords))


class SirenVideo(PointVideo):
    """A video as a SIREN; the defaults are those of its authors' experiment with videos.

    Args:
        size: Frames, height and width of the video that it is fitted to.
        hidden: Widths of the sine layers.
        omega_first: How fast the first layer's sines turn.
        omega: How fast the others' do.
    """

    def __init__(
        self,
        size: Sequence[int],
        hidden: Sequence[int] = (1024, 1024, 1024, 1024),
        omega_first: float = 30.0,
        omega: float = 30.0,
    ) -> None:
        super().__init__(size)
        self.network = Siren(3, 3, hidden, omega_first, omega)

    def forward(self, coords: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"]:
        return self.network(SIREN.of(coords, self.size))
