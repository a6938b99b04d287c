"""Mip-NeRF (Barron et al., ICCV 2021), modulated by the direction of view (CAM, Lee et al. 2024).

One network is asked about the volumes that the cone of a pixel cuts out of a ray, twice. With the modulation, all of a
ray's features are scaled and shifted by where the ray goes, so that density depends on it as well.

Shape legend
    R       rays
    S       intervals along a ray
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fields.quantisers import MinMax
from fields.radiance.encodings import Volume, cone, cylinder, integrated, octaves
from fields.radiance.marching import MarchingField
from fields.radiance.network import RadianceMLP, by_view
from fields.radiance.rays import Rays
from fields.view_directions import Elevation, view_coords

COLOUR_PADDING = 0.001  # colours may pass [0, 1] by this much, so that black and white can be reached
DENSITY_BIAS = -1.0
WHOLE_BITS = 32
SHAPES = {"cone": cone, "cylinder": cylinder}


class MipNeRF(MarchingField):
    """A static scene; the defaults are the published size, which ``view_knots=None`` makes plain Mip-NeRF.

    Args:
        num_samples: Intervals of each level, from coarse to fine.
        num_octaves: Of the encoded volumes.
        view_octaves: Of the encoded directions.
        width: Of the trunk's layers.
        depth: Of the trunk.
        skip: The encoding is joined in again behind every layer whose number is a multiple of this.
        colour_width: Of the colour's layer.
        view_knots: Of the modulation's grids over azimuth and elevation; None is no modulation.
        elevation: "full" spreads the knots over all directions; "official" as the authors' program does, where all
            directions that point upwards read the first knot.
        periodic: Whether the azimuth is a circle; else there is a seam where x is negative and y is 0.
        shape: Of what a pixel sees: "cone", or "cylinder" for rays that do not spread.
        bits: Of weights and grids while they are trained, of which one is the sign; 32 is no quantiser.

    Raises:
        InputError: If a setting is out of its range.
    """

    def __init__(
        self,
        num_samples: Sequence[int] = (128, 128),
        num_octaves: int = 16,
        view_octaves: int = 4,
        width: int = 256,
        depth: int = 8,
        skip: int = 4,
        colour_width: int = 128,
        view_knots: Sequence[int] | None = (10, 3),
        elevation: Elevation = "full",
        periodic: bool = False,
        shape: Literal["cone", "cylinder"] = "cone",
        bits: int = WHOLE_BITS,
    ) -> None:
        super().__init__(num_samples)
        quantiser = None if bits == WHOLE_BITS else MinMax(bits)
        modulation = by_view(view_knots, "ray", elevation, periodic, quantiser)
        self.num_octaves, self.view_octaves, self.elevation = num_octaves, view_octaves, elevation
        self.volumes = SHAPES[shape]
        view_dim = 3 * (1 + 2 * view_octaves)
        self.network = RadianceMLP(6 * num_octaves, view_dim, width, depth, skip, colour_width, modulation, quantiser)

    def forward(
        self, volume: Volume, viewdirs: Float[Tensor, "R 3"]
    ) -> tuple[Float[Tensor, "R S 3"], Float[Tensor, "R S"]]:
        """Colour, within a little of [0, 1], and density of volumes of rays.

        Args:
            volume: Of all intervals of every ray, which the modulation standardises together.
            viewdirs: Unit vectors.
        """
        coords = view_coords(viewdirs, self.elevation)
        encoded = integrated(volume, self.num_octaves), octaves(viewdirs, self.view_octaves)
        rgb, density = self.network(*encoded, coords)
        rgb = rgb.sigmoid() * (1 + 2 * COLOUR_PADDING) - COLOUR_PADDING
        return rgb, F.softplus(density + DENSITY_BIAS)

    def intervals(
        self, rays: Rays, edges: Float[Tensor, "R edges"]
    ) -> tuple[Float[Tensor, "R S 3"], Float[Tensor, "R S"]]:
        """As `MarchingField.intervals`."""
        return self(self.volumes(rays.origins, rays.directions, rays.radii, edges), rays.viewdirs)
