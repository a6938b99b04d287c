"""What radiance fields share: they look along rays in levels, each where the one before found something.

Shape legend
    R       rays
    S       intervals along a ray
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.radiance.rays import Rays, Rendered
from fields.radiance.sampling import resample, stratified
from fields.radiance.volume import Background, optical_depths, see


class MarchingField(nn.Module, ABC):
    """A radiance field that is integrated interval by interval; all levels ask the same network.

    Args:
        num_samples: Intervals of each level, from coarse to fine.

    Raises:
        InputError: If there is no level, or one without intervals.
    """

    def __init__(self, num_samples: Sequence[int]) -> None:
        super().__init__()
        if not num_samples or min(num_samples) < 1:
            raise InputError(f"num_samples {tuple(num_samples)}: give intervals for one level or more, at least 1 each")
        self.num_samples = tuple(num_samples)

    @abstractmethod
    def intervals(
        self, rays: Rays, edges: Float[Tensor, "R edges"]
    ) -> tuple[Float[Tensor, "R S 3"], Float[Tensor, "R S"]]:
        """Colour in [0, 1] and density, at least 0, of the intervals of rays.

        Args:
            rays: As `render_rays` gets them.
            edges: Of the intervals.
        """

    def render_rays(
        self, rays: Rays, jitter: torch.Generator | None = None, background: Background = "white"
    ) -> list[Rendered]:
        """What is seen along rays, by every level from coarse to fine.

        Args:
            rays: Each is seen by itself, so that the others beside it change nothing.
            jitter: Draws the edges of intervals, for training; None looks at the same places always.
            background: What is behind the scene.
        """
        levels: list[Rendered] = []
        edges = stratified(rays.near, rays.far, self.num_samples[0], jitter)
        for number, count in enumerate(self.num_samples):
            if number > 0:
                edges = resample(edges, levels[-1].weights, count, jitter)
            rgb, density = self.intervals(rays, edges)
            levels.append(see(optical_depths(density, edges, rays.directions), rgb, edges, background))
        return levels
