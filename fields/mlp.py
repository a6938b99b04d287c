"""The multi-layer perceptron that decodes features or encodings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers with an activation after each but the last.

    Args:
        in_dim: Width of the input.
        out_dim: Width of the output.
        hidden: Widths in between; empty is one linear layer.
        activation: Makes the activation.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        hidden: Sequence[int] = (256, 256, 256, 256),
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        widths = [in_dim, *hidden]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), activation()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], out_dim))

    def forward(self, x: Float[Tensor, "*N in_dim"]) -> Float[Tensor, "*N out_dim"]:
        return self.layers(x)
