"""What changes the features of a network from beside it: by latents (NVP), or by where a point lies (CAM).

Shape legend
    N       points
    C       channels of features, or 1 for all alike
    D       axes of the grids
    Z       width of a latent
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError


def standardise(x: Float[Tensor, "..."], dims: Sequence[int], eps: float = 1e-5) -> Float[Tensor, "..."]:
    """Zero mean and unit variance over some axes, of this tensor alone.

    Args:
        x: Features.
        dims: The axes over which they are counted together.
        eps: Added to the (biased) variance.
    """
    variance, mean = torch.var_mean(x, dim=tuple(dims), correction=0, keepdim=True)
    return (x - mean) * (variance + eps).rsqrt()


class LatentModulator(nn.Module):
    """One factor per layer, each a rectified layer of the factor before and the latent (NVP, Kim et al. 2022).

    Args:
        latent_dim: Width of the latent.
        hidden: Widths of the layers to be modulated.
    """

    def __init__(self, latent_dim: int, hidden: Sequence[int]) -> None:
        super().__init__()
        before = [0, *hidden[:-1]]
        layers = [nn.Linear(width + latent_dim, out) for width, out in zip(before, hidden, strict=True)]
        self.layers = nn.ModuleList(layers)
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight)

    def forward(self, latent: Float[Tensor, "*N Z"]) -> list[Tensor]:
        factors: list[Tensor] = []
        for layer in self.layers:
            factors.append(F.leaky_relu(layer(torch.cat([*factors[-1:], latent], dim=-1)), 0.01))
        return factors


class GridModulation(nn.Module):
    """``gamma(coords) x + beta(coords)``, both linear between the knots of small grids (CAM, Lee et al. 2024).

    The layer starts as the identity. It stands after a linear layer or convolution, and `standardise` where it is
    used, and before the activation.

    Args:
        shape: Knots per axis: one axis or two. The first and last knots lie at -1 and 1.
        num_channels: 1 for one pair of grids for all channels, or the channels of the features.
        padding: Beyond the knots: "border" repeats the last, "zeros" fades both to zero within one spacing.
    """

    grid_parameters = ("gamma", "beta")

    def __init__(
        self, shape: Sequence[int], num_channels: int = 1, padding: Literal["border", "zeros"] = "border"
    ) -> None:
        super().__init__()
        if len(shape) not in (1, 2):
            raise InputError(f"grids of {len(shape)} axes: modulation is read from one or two")
        self.gamma = nn.Parameter(torch.ones(num_channels, *shape))
        self.beta = nn.Parameter(torch.zeros(num_channels, *shape))
        self.padding = padding

    def read(self, coords: Float[Tensor, "N D"]) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N C"]]:
        """Factor and shift at points.

        Args:
            coords: In [-1, 1], axes as in the grids.
        """
        grids = torch.cat((self.gamma, self.beta))
        if grids.ndim == 2:
            grids, coords = grids[..., None], F.pad(coords, (0, 1))
        points = rearrange(coords.flip(-1), "n xy -> 1 n 1 xy").to(grids.dtype)
        found = F.grid_sample(grids[None], points, padding_mode=self.padding, align_corners=True)
        gamma, beta = rearrange(found, "1 (kind c) n 1 -> kind n c", kind=2)
        return gamma, beta

    def forward(self, x: Float[Tensor, "N K"], coords: Float[Tensor, "N D"]) -> Float[Tensor, "N K"]:
        gamma, beta = self.read(coords)
        return gamma * x + beta
