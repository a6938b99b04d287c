"""A perceptron whose hidden layers may each be modulated by where the point lies.

Shape legend
    N       points
    D       axes of the grids
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError


class ModulatedMLP(nn.Module):
    """Layers of linear, modulation, activation; the last is linear alone (CAM, Lee et al. 2024).

    Args:
        in_dim: Width of the input.
        out_dim: Width of the output.
        hidden: Widths of the layers in between.
        modulation: Makes one for each hidden layer: ``(features [N, C], coords [N, D]) -> [N, C]``; None is none.
        activation: Makes the activation; None leaves it out.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        hidden: Sequence[int],
        modulation: Callable[[], nn.Module] | None = None,
        activation: Callable[[], nn.Module] | None = nn.ReLU,
    ) -> None:
        super().__init__()
        if not hidden or min(hidden) < 1:
            raise InputError(f"hidden {list(hidden)}: give the width of at least one layer")
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise([in_dim, *hidden]))
        self.modulations = nn.ModuleList(modulation() for _ in hidden) if modulation else None
        self.activation = activation() if activation else nn.Identity()
        self.last = nn.Linear(hidden[-1], out_dim)

    def forward(self, x: Float[Tensor, "N in_dim"], coords: Float[Tensor, "N D"]) -> Float[Tensor, "N out_dim"]:
        """Values.

        Args:
            x: Points, encoded.
            coords: The same points in [-1, 1], as the grids count them.
        """
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if self.modulations is not None:
                x = self.modulations[number](x, coords)
            x = self.activation(x)
        return self.last(x)
