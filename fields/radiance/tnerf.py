"""T-NeRF: a static field behind a deformation that changes with time (D-NeRF, Pumarola et al., CVPR 2021), modulated by
time (CAM, Lee et al. 2024).

Times of recordings are in [0, 1]; the grids of the modulation are read at ``2 t - 1``, as everywhere in this project.

Shape legend
    R       rays
    S       points of each
"""  # noqa: D205

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from einops import repeat
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.modulation import CAM
from fields.radiance.encodings import octaves
from fields.radiance.marching import MarchingField
from fields.radiance.nerf import Density, PointRadiance, middles
from fields.radiance.network import Dense, Trunk
from fields.radiance.rays import Rays


class Deformation(nn.Module):
    """Where points of a moving scene are in the scene at rest, less where they are; nearly nothing at the beginning.

    Args:
        num_octaves: Of encoded positions and times.
        width: Of the layers.
        depth: Number of layers.
        skip: The encoding is joined in again behind every layer whose number is a multiple of this.
    """

    def __init__(self, num_octaves: int = 4, width: int = 64, depth: int = 4, skip: int = 2) -> None:
        super().__init__()
        self.num_octaves = num_octaves
        self.trunk = Trunk(4 * (1 + 2 * num_octaves), width, depth, skip)
        self.shift = Dense(self.trunk.out_dim, 3)
        nn.init.uniform_(self.shift.weight, 0, 1e-4)

    def forward(self, points: Float[Tensor, "R S 3"], times: Float[Tensor, " R"]) -> Float[Tensor, "R S 3"]:
        """Shifts of points.

        Args:
            points: Of rays.
            times: In [0, 1].
        """
        moments = repeat(times, "r -> r s 1", s=points.shape[1])
        # The fine waves of the scene at rest would multiply what autocast rounds away.
        with torch.autocast(points.device.type, enabled=False):
            encoded = [octaves(value, self.num_octaves) for value in (points, moments)]
            return self.shift(self.trunk(torch.cat(encoded, dim=-1)))


class TNeRF(MarchingField):
    """A moving scene; the defaults are the published size, which ``time_knots=None`` makes plain T-NeRF.

    Args:
        num_samples: Intervals of each level, from coarse to fine; all levels ask the same network.
        num_octaves: Of encoded positions in the scene at rest.
        view_octaves: Of encoded directions.
        width: Of the trunk's layers.
        depth: Of the trunk.
        skip: The encoding is joined in again behind every layer whose number is a multiple of this.
        colour_width: Of the colour's layer.
        time_knots: Of the modulation's grids, the first at 0 and the last at 1; None is no modulation.
        warp_octaves: Of the deformation's encoded positions and times.
        warp_width: Of the deformation's layers.
        warp_depth: Of the deformation.
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
        time_knots: int | None = 5,
        warp_octaves: int = 4,
        warp_width: int = 64,
        warp_depth: int = 4,
        density: Density = "relu",
    ) -> None:
        super().__init__(num_samples)
        if time_knots is not None and time_knots < 2:
            raise InputError(
                f"time_knots {time_knots}: give at least 2, between which time makes a difference, or none"
            )
        modulation = None if time_knots is None else partial(CAM, (time_knots,))
        self.deformation = Deformation(warp_octaves, warp_width, warp_depth)
        self.radiance = PointRadiance(num_octaves, view_octaves, width, depth, skip, colour_width, density, modulation)

    def forward(
        self, points: Float[Tensor, "R S 3"], viewdirs: Float[Tensor, "R 3"], times: Float[Tensor, " R"]
    ) -> tuple[Float[Tensor, "R S 3"], Float[Tensor, "R S"]]:
        """Colour in [0, 1] and density, at least 0.

        Args:
            points: Of rays.
            viewdirs: Unit vectors.
            times: In [0, 1]; the modulation before and after is that of the first and the last moment.
        """
        at_rest = points + self.deformation(points, times)
        return self.radiance(at_rest, viewdirs, 2 * times[:, None] - 1)

    def intervals(
        self, rays: Rays, edges: Float[Tensor, "R edges"]
    ) -> tuple[Float[Tensor, "R S 3"], Float[Tensor, "R S"]]:
        """As `MarchingField.intervals`.

        Raises:
            InputError: If the rays have no times.
        """
        if rays.times is None:
            raise InputError("rays without times: give every view its moment in [0, 1], or take a field at rest")
        return self(middles(rays, edges), rays.viewdirs, rays.times)
