"""Directions of view as coordinates of small grids: azimuth and elevation (CAM on radiance fields, Lee et al. 2024).

Shape legend
    N       rays
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from errors import InputError

Elevation = Literal["full", "official"]


def angles(viewdirs: Float[Tensor, "*N 3"]) -> Float[Tensor, "*N 2"]:
    """Azimuth and elevation, each as a share of its range in [-1, 1].

    The azimuth is that of (x, y), -1 and 1 both along -x. The elevation is 1 straight down, -1 straight up along z.

    Args:
        viewdirs: Directions of any length but zero.
    """
    x, y, z = viewdirs.unbind(-1)
    return torch.stack((torch.atan2(y, x) / math.pi, torch.atan2(-z, torch.hypot(x, y)) * 2 / math.pi), dim=-1)


def check_elevation(elevation: str) -> None:
    """Refuses what is no `Elevation`.

    Args:
        elevation: As a config has it.

    Raises:
        InputError: There is no such elevation.
    """
    if elevation not in get_args(Elevation):
        raise InputError(f"elevation {elevation!r}: give one of {', '.join(get_args(Elevation))}")


def view_coords(viewdirs: Float[Tensor, "*N 3"], elevation: str = "full") -> Float[Tensor, "*N 2"]:
    """Coordinates (azimuth, elevation) of directions on a grid over both.

    The original takes the elevation in [-1, 1] for one in [0, 1], so that all directions that point upwards lie beyond
    the grid, where its first row is repeated; "official" does so too. A grid whose azimuth should have no seam has a
    periodic first axis.

    Args:
        viewdirs: Directions of any length but zero.
        elevation: "full" spreads all elevations over the grid, "official" those that point downwards.

    Raises:
        InputError: There is no such elevation.
    """
    check_elevation(elevation)
    found = angles(viewdirs)
    if elevation == "full":
        return found
    return torch.stack((found[..., 0], 2 * found[..., 1] - 1), dim=-1)
