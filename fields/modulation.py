"""What changes the features of a network from beside it: by latents (NVP), or by where a point lies (CAM).

Shape legend
    N       points
    R, S    rays, and samples along each
    B       frames
    C       channels of features
    K       C, or 1 for all channels alike
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
from fields.coord_grid import CoordGrid, Padding, read_together


def standardise(x: Float[Tensor, "..."], dims: Sequence[int], eps: float = 1e-5) -> Float[Tensor, "..."]:
    """Zero mean and unit variance over some axes, of this tensor alone.

    Args:
        x: Features.
        dims: The axes over which they are counted together.
        eps: Added to the (biased) variance.
    """
    if sorted(d % x.ndim for d in dims) == list(range(x.ndim - len(dims), x.ndim)):
        return F.layer_norm(x, x.shape[x.ndim - len(dims) :], eps=eps)  # the same by one operation, three times as fast
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


Norm = Literal["none", "layer", "ray", "instance"]
# Axes of features that are standardised together, by how many axes the features have: points [N, C] (or any number of
# leading axes that the coordinates share), rays [R, S, C], frames [B, C, H, W].
NORM_AXES: dict[tuple[str, str], tuple[int, ...]] = {
    ("layer", "points"): (-1,),
    ("layer", "rays"): (-1,),
    ("layer", "frames"): (1,),
    ("ray", "rays"): (-2, -1),
    ("instance", "frames"): (-2, -1),
}
PATTERNS = {"points": "... k -> ... k", "rays": "r k -> r 1 k", "frames": "b k -> b k 1 1"}


def layout_of(features: Tensor, coords: Tensor) -> str:
    """What features are of, by their axes and those of the coordinates.

    Raises:
        InputError: If they fit no layout.
    """
    if coords.ndim == features.ndim and coords.shape[:-1] == features.shape[:-1]:
        return "points"
    if coords.ndim == 2 and features.ndim in (3, 4) and len(coords) == len(features):
        return "rays" if features.ndim == 3 else "frames"
    raise InputError(
        f"features {tuple(features.shape)} with coordinates {tuple(coords.shape)}: give points [N, C] with [N, D], "
        "rays [R, S, C] with [R, D] or frames [B, C, H, W] with [B, D]"
    )


class CAM(nn.Module):
    """``gamma(coords) x + beta(coords)``, both linear between the knots of small grids (CAM, Lee et al. 2024, eq. 1).

    The layer starts as the identity, or as the normalisation alone. It stands after a linear layer or convolution and
    before the activation. Features are standardised with statistics of the present tensor only, the same while
    training and after; which belong together follows their layout, points, rays or frames.

    Args:
        shape: Knots per axis, 1 to 3 axes, first axis first.
        num_channels: 1 for one pair of grids for all channels, or the channels of the features.
        norm: What is standardised before: "layer" the channels of every point (or pixel) alone, "ray" all samples and
            channels of a ray, "instance" every channel of every frame, "none" nothing.
        eps: Added to the (biased) variance.
        padding: Beyond the knots: "border" repeats the last, "zeros" fades both grids to zero within one spacing.
        periodic: Per axis, whether it is a circle; None is none.
        quantiser: What each grid goes through before it is read; None is nothing.

    Raises:
        InputError: If the grids cannot be (see `CoordGrid`).
    """

    def __init__(
        self,
        shape: Sequence[int],
        num_channels: int = 1,
        norm: Norm = "none",
        eps: float = 1e-5,
        padding: Padding = "border",
        periodic: Sequence[bool] | None = None,
        quantiser: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.norm, self.eps = norm, eps
        self.gamma = CoordGrid(shape, num_channels, 1.0, padding, periodic, quantiser)
        self.beta = CoordGrid(shape, num_channels, 0.0, padding, periodic, quantiser)

    def read(self, coords: Float[Tensor, "*N D"]) -> tuple[Float[Tensor, "*N K"], Float[Tensor, "*N K"]]:
        """Factor and shift at points.

        Args:
            coords: In [-1, 1], axes as in the grids.
        """
        gamma, beta = read_together((self.gamma, self.beta), coords)
        return gamma, beta

    def normalise(self, features: Float[Tensor, "..."], layout: str) -> Float[Tensor, "..."]:
        """Features of a layout, standardised where so set.

        Raises:
            InputError: If there is nothing in this layout that the norm is of.
        """
        if self.norm == "none":
            return features
        if (self.norm, layout) not in NORM_AXES:
            raise InputError(f"norm {self.norm!r} for {layout}: 'ray' is for rays [R, S, C], 'instance' for frames")
        return standardise(features, NORM_AXES[self.norm, layout], self.eps)

    def forward(self, features: Float[Tensor, "..."], coords: Float[Tensor, "*N D"]) -> Float[Tensor, "..."]:
        """Features of the same shape and precision; what lies between is at least float32.

        Args:
            features: Points [N, C], rays [R, S, C] or frames [B, C, H, W].
            coords: In [-1, 1], first axis first, one per point, ray or frame.

        Raises:
            InputError: If their shapes do not fit each other, the norm or the grids.
        """
        layout = layout_of(features, coords)
        width, channels = len(self.gamma.values), features.shape[1 if layout == "frames" else -1]
        if width not in (1, channels):
            raise InputError(f"{channels} channels of features: these grids are for {width}")
        x = features.to(torch.promote_types(features.dtype, torch.float32))
        gamma, beta = (rearrange(found, PATTERNS[layout]) for found in self.read(coords))
        return (gamma * self.normalise(x, layout) + beta).to(features.dtype)
