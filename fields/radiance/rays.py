"""Rays through pixels, and what is seen along them.

Distances along a ray count in lengths of its direction, so that they are depths in front of the camera for directions
that end on the plane at depth 1, and true distances for unit directions.

Shape legend
    R       rays
    S       intervals along a ray
    h, w    height and width of a picture
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Rays:
    """Half lines from cameras into a scene.

    Attributes:
        origins: Where they begin.
        directions: Where they go; of any length, in which ``near``, ``far`` and depths count.
        viewdirs: The same as unit vectors.
        radii: Of the cone of a pixel where the direction ends.
        near: Where the scene begins.
        far: Where it ends.
        times: Moments in [0, 1], or None where nothing moves.
    """

    origins: Float[Tensor, "R 3"]
    directions: Float[Tensor, "R 3"]
    viewdirs: Float[Tensor, "R 3"]
    radii: Float[Tensor, "R 1"]
    near: Float[Tensor, "R 1"]
    far: Float[Tensor, "R 1"]
    times: Float[Tensor, " R"] | None = None

    def __len__(self) -> int:
        return self.origins.shape[0]

    def __getitem__(self, index: slice | Tensor) -> Rays:
        """Some of the rays.

        Args:
            index: A slice, whole numbers, or a mask.
        """
        values = {name: None if value is None else value[index] for name, value in self._items()}
        return Rays(**values)

    def to(self, device: torch.device | str) -> Rays:
        """The same rays on another device."""
        return Rays(**{name: None if value is None else value.to(device) for name, value in self._items()})

    def _items(self) -> list[tuple[str, Tensor | None]]:
        return [(part.name, getattr(self, part.name)) for part in dataclasses.fields(self)]


@dataclass(frozen=True)
class Rendered:
    """What is seen along rays.

    Attributes:
        rgb: In [0, 1], with the background (a model may pad this range a little).
        depth: Mean distance of what is seen, in lengths of the ray's direction; ``far`` where nothing is.
        opacity: How much of the background is hidden, in [0, 1].
        weights: What share of the colour each interval has; together the opacity.
    """

    rgb: Float[Tensor, "R 3"]
    depth: Float[Tensor, " R"]
    opacity: Float[Tensor, " R"]
    weights: Float[Tensor, "R S"]


@dataclass(frozen=True)
class View:
    """A picture of a scene; attributes as for `Rendered`."""

    rgb: Float[Tensor, "h w 3"]
    depth: Float[Tensor, "h w"]
    opacity: Float[Tensor, "h w"]
