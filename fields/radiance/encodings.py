"""Waves of points, and of the volumes that the cone of a pixel cuts out of a ray (Mip-NeRF, Barron et al., ICCV 2021).

Frequencies are 1, 2, 4, ... radians per unit, without pi, and are made where they are used: a model keeps none.

Shape legend
    R       rays
    S       intervals along a ray
    D       axes of a point
    L       octaves
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

_TINY = 1e-10


class Volume(NamedTuple):
    """Normal distributions that stand for parts of space.

    Attributes:
        mean: Their centres.
        variance: Along each axis: the diagonals of their covariances.
    """

    mean: Float[Tensor, "R S 3"]
    variance: Float[Tensor, "R S 3"]


def _angles(x: Tensor, num_octaves: int) -> Tensor:
    """Every axis times every frequency, octave by octave."""
    scales = 2.0 ** torch.arange(num_octaves, dtype=x.dtype, device=x.device)
    return rearrange(x[..., None, :] * scales[:, None], "... octave place -> ... (octave place)")


def octaves(x: Float[Tensor, "*N D"], num_octaves: int) -> Float[Tensor, "*N Z"]:
    """``[x, sin(2^k x), cos(2^k x)]``, all sines before all cosines, octave by octave (NeRF, eq. 4, without pi).

    Args:
        x: Points or unit vectors.
        num_octaves: Frequencies; the result is ``D (1 + 2 L)`` wide.
    """
    angles = _angles(x, num_octaves)
    return torch.cat((x, angles.sin(), angles.cos()), dim=-1)


def integrated(volume: Volume, num_octaves: int) -> Float[Tensor, "R S Z"]:
    """The mean of `octaves`, without the point itself, over volumes: waves finer than these fade (Mip-NeRF, eq. 14).

    Args:
        volume: Where, and how large.
        num_octaves: Frequencies; the result is ``6 L`` wide.
    """
    angles = _angles(volume.mean, num_octaves)
    scales = 4.0 ** torch.arange(num_octaves, dtype=angles.dtype, device=angles.device)
    spread = rearrange(volume.variance[..., None, :] * scales[:, None], "... octave place -> ... (octave place)")
    return torch.cat((angles.sin(), angles.cos()), dim=-1) * (-0.5 * spread).exp().repeat(1, 1, 2)


def _in_space(
    origins: Tensor, directions: Tensor, along: Tensor, along_variance: Tensor, across_variance: Tensor
) -> Volume:
    """From positions and variances along a ray and across it to space (Mip-NeRF, eq. 8 and 16)."""
    squared = directions.square()
    across = 1 - squared / squared.sum(dim=-1, keepdim=True).clamp_min(_TINY)
    mean = origins[:, None] + along[..., None] * directions[:, None]
    return Volume(mean, along_variance[..., None] * squared[:, None] + across_variance[..., None] * across[:, None])


def cone(
    origins: Float[Tensor, "R 3"],
    directions: Float[Tensor, "R 3"],
    radii: Float[Tensor, "R 1"],
    edges: Float[Tensor, "R edges"],
) -> Volume:
    """The frustums that edges cut out of cones (Mip-NeRF, eq. 7, in its form for small intervals).

    Args:
        origins: Apexes.
        directions: Axes, of any length.
        radii: Of a cone where its direction ends.
        edges: Increasing, one more than intervals, in lengths of the direction.
    """
    middle, half = (edges[:, 1:] + edges[:, :-1]) / 2, (edges[:, 1:] - edges[:, :-1]) / 2
    both = 3 * middle.square() + half.square()
    along = middle + 2 * middle * half.square() / both
    along_variance = half.square() / 3 - 4 / 15 * half**4 * (12 * middle.square() - half.square()) / both.square()
    across_variance = radii.square() * (middle.square() / 4 + 5 / 12 * half.square() - 4 / 15 * half**4 / both)
    return _in_space(origins, directions, along, along_variance, across_variance)


def cylinder(
    origins: Float[Tensor, "R 3"],
    directions: Float[Tensor, "R 3"],
    radii: Float[Tensor, "R 1"],
    edges: Float[Tensor, "R edges"],
) -> Volume:
    """The pieces that edges cut out of cylinders: `cone` for rays that do not spread; arguments as there."""
    middle, length = (edges[:, 1:] + edges[:, :-1]) / 2, edges[:, 1:] - edges[:, :-1]
    across_variance = (radii.square() / 4).expand_as(middle)
    return _in_space(origins, directions, middle, length.square() / 12, across_variance)
