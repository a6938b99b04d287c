"""A video as a hashed grid of (t, y, x) and a small perceptron: Instant-NGP (Mueller et al., SIGGRAPH 2022).

Shape legend
    N       points
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from fields.coords import NVP_GRIDS
from fields.grids import MultiResGrid
from fields.mlp import MLP
from fields.point_video import PointVideo


class InstantNGP(PointVideo):
    """A video as one grid of three axes, hashed where it is fine.

    Args:
        size: Frames, height and width of the video that it is fitted to.
        levels: Of the grid.
        base: Vertices along an axis of the coarsest level.
        growth: Ratio of neighbouring levels.
        features: Per level.
        log2_table: Of the entries of a hashed level.
        hidden: Widths of the perceptron's hidden layers.
    """

    def __init__(
        self,
        size: Sequence[int],
        levels: int = 16,
        base: int = 16,
        growth: float = 1.35,
        features: int = 2,
        log2_table: int = 19,
        hidden: Sequence[int] = (64, 64),
    ) -> None:
        super().__init__(size)
        self.grid = MultiResGrid(3, levels, base, growth, features, "hash", log2_table, align=8)
        self.mlp = MLP(self.grid.out_dim, 3, hidden)

    def forward(self, coords: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"]:
        return self.mlp(self.grid(NVP_GRIDS.of(coords, self.size)))
