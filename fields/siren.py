"""SIREN: a perceptron of sines (Sitzmann et al., "Implicit Neural Representations with Periodic Activation Functions",
NeurIPS 2020), whose layers may be modulated.

Shape legend
    N       points
"""  # noqa: D205

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn


class SineLayer(nn.Linear):
    """``sin(omega (W x + b))``.

    Args:
        in_dim: Width of the input.
        out_dim: Width of the output.
        omega: How fast the sine turns.
        weight_bound: Weights start uniform in plus and minus this.
        bias_bound: Biases too; None is torch's own, ``1 / sqrt(in_dim)``.
    """

    def __init__(
        self, in_dim: int, out_dim: int, omega: float, weight_bound: float, bias_bound: float | None = None
    ) -> None:
        super().__init__(in_dim, out_dim)
        self.omega = omega
        nn.init.uniform_(self.weight, -weight_bound, weight_bound)
        if bias_bound is not None:
            nn.init.uniform_(self.bias, -bias_bound, bias_bound)

    def forward(self, x: Float[Tensor, "*N in_dim"]) -> Float[Tensor, "*N out_dim"]:
        return (self.omega * super().forward(x)).sin()


class Siren(nn.Module):
    """Sine layers and a linear one.

    Args:
        in_dim: Axes of a point.
        out_dim: Channels of a value.
        hidden: Widths of the sine layers.
        omega_first: How fast the first layer's sines turn: the finest detail.
        omega: How fast the others' do.
        bias_like_weights: Biases start within the bounds of the weights (as NVP does) instead of torch's own.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        hidden: Sequence[int] = (256, 256, 256, 256),
        omega_first: float = 30.0,
        omega: float = 30.0,
        bias_like_weights: bool = False,
    ) -> None:
        super().__init__()
        layers = [SineLayer(in_dim, hidden[0], omega_first, 1 / in_dim, 1 / in_dim if bias_like_weights else None)]
        for before, after in pairwise(hidden):
            bound = math.sqrt(6 / before) / omega
            layers.append(SineLayer(before, after, omega, bound, bound if bias_like_weights else None))
        self.layers = nn.ModuleList(layers)
        self.last = nn.Linear(hidden[-1], out_dim)
        bound = math.sqrt(6 / hidden[-1]) / omega
        nn.init.uniform_(self.last.weight, -bound, bound)
        if bias_like_weights:
            nn.init.uniform_(self.last.bias, -bound, bound)

    def forward(
        self, coords: Float[Tensor, "*N in_dim"], modulations: Sequence[Tensor] | None = None
    ) -> Float[Tensor, "*N out_dim"]:
        """Values at points.

        Args:
            coords: In the range that the system at hand uses.
            modulations: A factor of what each sine layer gives; None changes nothing.
        """
        x = coords
        for i, layer in enumerate(self.layers):
            x = layer(x) if modulations is None else layer(x) * modulations[i]
        return self.last(x)
