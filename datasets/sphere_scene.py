"""A scene of shaded spheres whose pictures have a closed form: views, exact depth, static or moving; no files needed.

Cameras stand at radius 4, look at the origin and cover azimuth and elevation by golden sequences. Of the moving scene
every view has a moment of its own: one sphere rests, the other one circles it.

Shape legend
    V       views
    S       spheres
    N       rays
    H, W    height and width
"""

from __future__ import annotations

import math

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from datasets.cameras import around, directions, focal_of
from datasets.views import Views
from errors import InputError

FOV_X, RADIUS = 0.6911, 4.0
NEAR, FAR = 2.5, 5.5
LIGHT = (0.4, 0.3, 0.866)
MISS = -1.0  # depth of rays that meet nothing
# Rows of centre, radius, albedo.
STATIC = (
    (0.0, 0.0, 0.0, 0.5, 0.85, 0.25, 0.20),
    (0.75, 0.20, -0.15, 0.30, 0.20, 0.55, 0.90),
    (-0.45, 0.60, -0.20, 0.28, 0.25, 0.80, 0.35),
)
_ORBITING_RADIUS, _ORBIT = 0.28, 0.85


def cameras(num_views: int, test: bool = False) -> Float[Tensor, "V 4 4"]:
    """Where the scene is seen from, in float64.

    Args:
        num_views: How many.
        test: Views between those of training: the sequence of azimuths is half a step further.
    """
    k = torch.arange(num_views, dtype=torch.float64)
    azimuth = 2 * math.pi * ((k + 0.5 * test) * 0.618034).frac()
    elevation = 10 + 60 * (0.754877 * k + 0.3).frac()
    return around(azimuth, elevation.deg2rad(), RADIUS)


def moments(num_views: int, moving: bool) -> Float[Tensor, " V"]:
    """Times of the views: evenly from 0 to 1 where the scene moves."""
    k = torch.arange(num_views, dtype=torch.float64)
    return k / max(1, num_views - 1) if moving else torch.zeros_like(k)


def spheres(time: float | None = None) -> Float[Tensor, "S 7"]:
    """Rows of centre, radius and albedo, in float64.

    Args:
        time: Of the moving scene, in [0, 1]; None: the static one.
    """
    table = torch.tensor(STATIC, dtype=torch.float64)
    if time is None:
        return table
    a = 2 * math.pi * time
    centre = (_ORBIT * math.cos(a), _ORBIT * math.sin(a), -0.1 + 0.15 * math.sin(2 * a))
    table[1, :4] = table.new_tensor((*centre, _ORBITING_RADIUS))
    return table[:2]


def trace(
    origins: Float[Tensor, "N 3"], unit: Float[Tensor, "N 3"], table: Float[Tensor, "S 7"]
) -> tuple[Float[Tensor, "N 3"], Float[Tensor, " N"]]:
    """Colours in [0, 1] on white, and distances along rays (-1: nothing is met).

    Args:
        origins: Of the rays.
        unit: Their directions, of length 1.
        table: The spheres.
    """
    distance, nearest = _meet(origins, unit, table)
    hit = distance.isfinite()
    point = origins + distance.where(hit, 0)[:, None] * unit
    normal = (point - table[nearest, :3]) / table[nearest, 3:4]
    colour = _shade(normal, unit, table[nearest, 4:])
    return colour.where(hit[:, None], 1.0), distance.where(hit, MISS)


def _meet(origins: Tensor, unit: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of the nearest meeting in front, infinite where there is none, and the number of its sphere."""
    offset = origins[:, None] - table[:, :3]
    half = (offset * unit[:, None]).sum(dim=-1)
    inside = half.square() - offset.square().sum(dim=-1) + table[:, 3].square()
    root = inside.clamp(min=0).sqrt()
    near, far = -half - root, -half + root
    met = near.where(near > 0, far)
    return met.where((inside >= 0) & (met > 0), math.inf).min(dim=1)


def _shade(normal: Tensor, unit: Tensor, albedo: Tensor) -> Tensor:
    """Lambert's law with ambient light, and a highlight by Blinn's halfway vector; no shadows."""
    light = normalize(normal.new_tensor(LIGHT), dim=0)
    facing = (normal @ light)[:, None]
    halfway = (normal * normalize(light - unit, dim=1)).sum(dim=1, keepdim=True)
    highlight = 0.6 * halfway.clamp(min=0) ** 20 * (facing > 0)
    return (albedo * (0.25 + 0.75 * facing.clamp(min=0)) + highlight).clamp(0, 1)


def take_views(num_views: int, size: tuple[int, int], moving: bool = False, test: bool = False) -> Views:
    """The scene from golden views, as float32 on white.

    Args:
        num_views: How many.
        size: Height and width in pixels.
        moving: A moment for every view.
        test: The views between those of training.

    Raises:
        InputError: No view, or no pixel.
    """
    if num_views < 1 or min(size) < 1:
        raise InputError(f"num_views {num_views}, size {list(size)}: give at least one view, and height and width")
    c2w, times, focal = cameras(num_views, test), moments(num_views, moving), focal_of(FOV_X, size[1])
    pixels = torch.arange(size[0] * size[1])
    traced = []
    for matrix, time in zip(c2w, times.tolist(), strict=True):
        unit = normalize(directions(matrix, pixels, size, focal), dim=1)
        origins = repeat(matrix[:3, 3], "c -> n c", n=len(pixels))
        traced.append(trace(origins, unit, spheres(time if moving else None)))
    rgb, depth = (torch.stack(part).float() for part in zip(*traced, strict=True))
    rgb, depth = (rearrange(part, "v (h w) ... -> v h w ...", h=size[0]) for part in (rgb, depth))
    name = f"{'moving' if moving else 'static'} spheres"
    when = times.float() if moving else None
    return Views(name, rgb, c2w.float(), focal, NEAR, FAR, unit=True, times=when, depth=depth)
