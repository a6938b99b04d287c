"""What is seen along a ray through matter that gives light and hides what is behind it (NeRF, eq. 3).

Shape legend
    R       rays
    S       intervals along a ray
    E       edges of intervals, S + 1
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fields.radiance.rays import Rendered

Background = Literal["white", "black"]
_EMPTY = 1e-10  # a ray that hides less of the background than this has met nothing


def optical_depths(
    density: Float[Tensor, "R S"], edges: Float[Tensor, "R E"], directions: Float[Tensor, "R 3"] | None = None
) -> Float[Tensor, "R S"]:
    """Density times length of every interval.

    Args:
        density: At least 0, per unit of space.
        edges: Of the intervals, in lengths of the directions.
        directions: Of the rays; None for unit vectors.
    """
    depths = density * edges.diff(dim=1)
    return depths if directions is None else depths * directions.norm(dim=1, keepdim=True)


def weights_of(optical: Float[Tensor, "R S"]) -> tuple[Float[Tensor, "R S"], Float[Tensor, "R E"]]:
    """What share of the light comes from each interval, and what share passes to each edge.

    The weights and the last of the shares that pass make 1.

    Args:
        optical: Optical depths, at least 0.
    """
    before = torch.cat((torch.zeros_like(optical[:, :1]), optical.cumsum(dim=1)), dim=1)
    passing = (-before).exp()
    return -torch.expm1(-optical) * passing[:, :-1], passing


def depth_of(weights: Float[Tensor, "R S"], edges: Float[Tensor, "R E"]) -> Float[Tensor, " R"]:
    """Mean distance of what is seen, and the last edge where nothing is.

    (Mip-NeRF's program means the same, but a slip makes its empty rays end at the first edge.)

    Args:
        weights: As `weights_of` gives them.
        edges: Of the intervals.
    """
    opacity = weights.sum(dim=1)
    # An empty ray divides by 1, so that its gradient is a number.
    mean = (weights * (edges[:, 1:] + edges[:, :-1]) / 2).sum(dim=1) / torch.where(opacity > _EMPTY, opacity, 1.0)
    return torch.where(opacity > _EMPTY, mean, edges[:, -1]).clamp(edges[:, 0], edges[:, -1])


def see(
    optical: Float[Tensor, "R S"],
    rgb: Float[Tensor, "R S 3"],
    edges: Float[Tensor, "R E"],
    background: Background = "white",
) -> Rendered:
    """Colour, depth and opacity of rays.

    Args:
        optical: Optical depths of the intervals, at least 0.
        rgb: Colours of the intervals.
        edges: Of the intervals.
        background: What is behind the scene.
    """
    weights, _ = weights_of(optical)
    opacity = weights.sum(dim=1)
    colour = (weights[..., None] * rgb).sum(dim=1)
    if background == "white":
        colour = colour + (1 - opacity)[:, None]
    return Rendered(colour, depth_of(weights, edges), opacity, weights)
