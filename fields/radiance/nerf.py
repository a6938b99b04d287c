"""NeRF (Mildenhall et al., ECCV 2020), modulated by the direction of view (CAM, Lee et al. 2024).

Points in the middle of intervals are asked; positions are encoded with frequencies from 1 radian per unit, so that a
scene may reach a few units from the origin. CAM's program modulates its static field of this kind by planes over
position instead, whose shifts cannot learn; they are left out here, the direction of view takes their place.

Shape legend
    R       rays
    S       points of each
    D       axes of the modulation
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from fields.modulation import Norm
from fields.radiance.encodings import octaves
from fields.radiance.marching import MarchingField
from fields.radiance.network import Modulation, RadianceMLP, by_view
from fields.radiance.rays import Rays
from fields.view_directions import Elevation, view_coords

Density = Literal["relu", "softplus"]


def _softplus(x: Tensor) -> Tensor:
    """As Mip-NeRF's densities."""
    return F.softplus(x - 1)


DENSITIES = {"relu": torch.relu, "softplus": _softplus}


def middles(rays: Rays, edges: Float[Tensor, "R edges"]) -> Float[Tensor, "R S 3"]:
    """Points in the middle of intervals.

    Args:
        rays: With origins and directions.
        edges: Of the intervals, in lengths of the directions.
    """
    along = (edges[:, 1:] + edges[:, :-1]) / 2
    return rays.origins[:, None] + along[..., None] * rays.directions[:, None]


class PointRadiance(nn.Module):
    """Colour and density of points, from encoded positions and directions.

    Args:
        num_octaves: Of encoded positions.
        view_octaves: Of encoded directions.
        width: Of the trunk's layers.
        depth: Of the trunk.
        skip: The encoding is joined in again behind every layer whose number is a multiple of this.
        colour_width: Of the colour's layer.
        density: "relu" as in the paper, or "softplus", which starts with some density everywhere.
        modulation: Of the trunk's layers; None is none.

    Raises:
        InputError: If a setting is out of its range.
    """

    def __init__(
        self,
        num_octaves: int = 10,
        view_octaves: int = 4,
        width: int = 256,
        depth: int = 8,
        skip: int = 4,
        colour_width: int = 128,
        density: Density = "relu",
        modulation: Modulation | None = None,
    ) -> None:
        super().__init__()
        self.num_octaves, self.view_octaves, self.density = num_octaves, view_octaves, DENSITIES[density]
        widths = [3 * (1 + 2 * count) for count in (num_octaves, view_octaves)]
        self.network = RadianceMLP(*widths, width, depth, skip, colour_width, modulation)

    def forward(
        self, points: Float[Tensor, "R S 3"], viewdirs: Float[Tensor, "R 3"], coords: Float[Tensor, "R D"] | None = None
    ) -> tuple[Float[Tensor, "R S 3"], Float[Tensor, "R S"]]:
        """Colour in [0, 1] and density.

        Args:
            points: Of rays.
            viewdirs: Unit vectors.
            coords: What the modulation is read at; needed only where there is one.
        """
        encoded = octaves(points, self.num_octaves), octaves(viewdirs, self.view_octaves)
        rgb, density = self.network(*encoded, coords)
        return rgb.sigmoid(), self.density(density)


class NeRF(MarchingField):
    """A static scene.

    Args:
        num_samples: Intervals of each level, from coarse to fine; all levels ask the same network.
        num_octaves: Of encoded positions.
        view_octaves: Of encoded directions.
        width: Of the trunk's layers.
        depth: Of the trunk.
        skip: The encoding is joined in again behind every layer whose number is a multiple of this.
        colour_width: Of the colour's layer.
        view_knots: Of the modulation's grids over azimuth and elevation; None is no modulation.
        norm: What the modulation standardises before: "ray" all of a ray together, "layer" every point, or "none".
        elevation: "full" spreads the knots over all directions; "official" over those that point downwards.
        periodic: Whether the azimuth is a circle; else there is a seam where x is negative and y is 0.
        density: "relu" as in the paper, or "softplus", which starts with some density everywhere.

    Raises:
        InputError: If a setting is out of its range.
    """

    def __init__(
        self,
        num_samples: Sequence[int] = (64, 128),
        num_octaves: int = 10,
        view_octaves: int = 4,
        width: int = 256,
        depth: int = 8,
        skip: int = 4,
        colour_width: int = 128,
        view_knots: Sequence[int] | None = (10, 3),
        norm: Norm = "ray",
        elevation: Elevation = "full",
        periodic: bool = False,
        density: Density = "relu",
    ) -> None:
        super().__init__(num_samples)
        modulation = by_view(view_knots, norm, elevation, periodic)
        self.elevation = elevation
        self.radiance = PointRadiance(num_octaves, view_octaves, width, depth, skip, colour_width, density, modulation)

    def forward(
        self, points: Float[Tensor, "R S 3"], viewdirs: Float[Tensor, "R 3"]
    ) -> tuple[Float[Tensor, "R S 3"], Float[Tensor, "R S"]]:
        """Colour in [0, 1] and density, at least 0.

        Args:
            points: Of rays; those of one ray may be standardised together.
            viewdirs: Unit vectors.
        """
        return self.radiance(points, viewdirs, view_coords(viewdirs, self.elevation))

    def intervals(
        self, rays: Rays, edges: Float[Tensor, "R edges"]
    ) -> tuple[Float[Tensor, "R S 3"], Float[Tensor, "R S"]]:
        """As `MarchingField.intervals`."""
        return self(middles(rays, edges), rays.viewdirs)
