"""The network of a radiance field: density from where a point is, colour from there and from where it is seen.

Shape legend
    R       rays
    S       points of each
    D       axes of the modulation
    Z, V    widths of an encoded point and of an encoded direction
    C       width of the layers
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from einops import repeat
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from fields.modulation import CAM, Norm
from fields.view_directions import check_elevation

Modulation = Callable[[], nn.Module]


def by_view(
    knots: Sequence[int] | None,
    norm: Norm = "ray",
    elevation: str = "full",
    periodic: bool = False,
    quantiser: nn.Module | None = None,
) -> Modulation | None:
    """Makes the modulation of a layer by the direction of view; its eps is that of CAM's program for radiance fields.

    Args:
        knots: Over azimuth and elevation, at least 2 each; None is no modulation.
        norm: As for `fields.modulation.CAM`.
        elevation: As for `fields.view_directions.view_coords`.
        periodic: Whether the azimuth is a circle.
        quantiser: Of the grids; None is nothing.

    Raises:
        InputError: If the knots are not of two axes, or one of them has no two, or there is no such elevation.
    """
    check_elevation(elevation)
    if knots is None:
        return None
    if len(knots) != 2 or min(knots) < 2:
        raise InputError(
            f"view_knots {tuple(knots)}: give one number for the azimuth and one for the elevation, at least 2 each, "
            "or none"
        )
    return partial(CAM, knots, norm=norm, eps=1e-6, periodic=(periodic, False), quantiser=quantiser)


class Dense(nn.Linear):
    """A linear layer that starts as Mip-NeRF's do, and whose weights may go through a quantiser.

    Args:
        in_dim: Width of the input.
        out_dim: Width of the output.
        quantiser: For the weights, not the biases; None is nothing.
    """

    quantised_parameters = ("weight",)

    def __init__(self, in_dim: int, out_dim: int, quantiser: nn.Module | None = None) -> None:
        super().__init__(in_dim, out_dim)
        self.quantiser = quantiser
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Float[Tensor, "*N in_dim"]) -> Float[Tensor, "*N out_dim"]:
        weight = self.weight if self.quantiser is None else self.quantiser(self.weight)
        return F.linear(x, weight, self.bias)


class Trunk(nn.Module):
    """Rectified linear layers, with the input joined in again behind some, and modulated before they are rectified.

    Args:
        in_dim: Width of the input.
        width: Of the layers.
        depth: Number of layers.
        skip: The input is joined in behind every layer whose number (from 0) is a multiple of this, but the first.
        modulation: Makes the modulation of a layer, such as `fields.modulation.CAM`; None is none.
        quantiser: For the weights; None is nothing.

    Raises:
        InputError: If a number is less than 1.
    """

    def __init__(
        self,
        in_dim: int,
        width: int = 256,
        depth: int = 8,
        skip: int = 4,
        modulation: Modulation | None = None,
        quantiser: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if min(width, depth, skip) < 1:
            raise InputError(f"trunk of width {width}, depth {depth}, skip {skip}: each must be at least 1")
        self.joins = [number > 0 and number % skip == 0 for number in range(depth)]
        after = [width + in_dim if joined else width for joined in self.joins]
        self.layers = nn.ModuleList(Dense(before, width, quantiser) for before in (in_dim, *after[:-1]))
        self.modulations = nn.ModuleList([] if modulation is None else [modulation() for _ in range(depth)])
        self.out_dim = after[-1]

    def forward(
        self, x: Float[Tensor, "*N in_dim"], coords: Float[Tensor, "*M D"] | None = None
    ) -> Float[Tensor, "*N out_dim"]:
        """Features of points.

        Args:
            x: Encoded points.
            coords: What the modulation is read at, in a layout that it knows; needed only where there is one.
        """
        features = x
        for number, layer in enumerate(self.layers):
            features = layer(features)
            if self.modulations:
                features = self.modulations[number](features, coords)
            features = features.relu()
            if self.joins[number]:
                features = torch.cat((features, x), dim=-1)
        return features


class RadianceMLP(nn.Module):
    """A trunk, a density of its features, and a colour of its features and the direction of view (NeRF, figure 7).

    Args:
        point_dim: Width of an encoded point.
        view_dim: Width of an encoded direction.
        width: Of the trunk's layers.
        depth: Of the trunk.
        skip: Of the trunk.
        colour_width: Of the one layer of the colour's head.
        modulation: Of the trunk's layers; the head has none.
        quantiser: For the weights; None is nothing.
    """

    def __init__(
        self,
        point_dim: int,
        view_dim: int,
        width: int = 256,
        depth: int = 8,
        skip: int = 4,
        colour_width: int = 128,
        modulation: Modulation | None = None,
        quantiser: nn.Module | None = None,
    ) -> None:
        super().__init__()
        dense = partial(Dense, quantiser=quantiser)
        self.trunk = Trunk(point_dim, width, depth, skip, modulation, quantiser)
        self.density = dense(self.trunk.out_dim, 1)
        self.bottleneck = dense(self.trunk.out_dim, width)
        self.colour = dense(width + view_dim, colour_width)
        self.rgb = dense(colour_width, 3)

    def forward(
        self, points: Float[Tensor, "R S Z"], views: Float[Tensor, "R V"], coords: Float[Tensor, "R D"] | None = None
    ) -> tuple[Float[Tensor, "R S 3"], Float[Tensor, "R S"]]:
        """Colour and density before their activations, in the precision of the points.

        Args:
            points: Encoded.
            views: Encoded directions.
            coords: As for `Trunk`.
        """
        features = self.trunk(points, coords)
        views = repeat(views, "r v -> r s v", s=points.shape[1])
        colour = self.colour(torch.cat((self.bottleneck(features), views), dim=-1)).relu()
        return self.rgb(colour).to(points.dtype), self.density(features)[..., 0].to(points.dtype)
