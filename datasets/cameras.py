"""Pinhole cameras: a matrix from the camera to the world, a focal length in pixels, and a size.

OpenGL's axes: x to the right, y upwards, and the camera looks along -z. The centre of the pixel in row i and column j
lies at (j + 0.5, i + 0.5); the optical axis meets the middle of the picture.

Shape legend
    V       views
    N       pixels
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def focal_of(fov_x: float, width: int) -> float:
    """Focal length in pixels.

    Args:
        fov_x: Horizontal angle of view in radians, in (0, pi).
        width: Of the picture in pixels.
    """
    return width / (2 * math.tan(fov_x / 2))


def look_at(
    positions: Float[Tensor, "V 3"], target: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> Float[Tensor, "V 4 4"]:
    """Cameras upright in a world whose z points upwards.

    Args:
        positions: Of the cameras; none straight above or below the target.
        target: What they look at.
    """
    backwards = torch.nn.functional.normalize(positions - positions.new_tensor(target), dim=1)
    up = positions.new_tensor([0.0, 0.0, 1.0]).expand_as(positions)
    right = torch.nn.functional.normalize(torch.linalg.cross(up, backwards), dim=1)
    c2w = torch.eye(4, dtype=positions.dtype, device=positions.device).repeat(len(positions), 1, 1)
    c2w[:, :3] = torch.stack([right, torch.linalg.cross(backwards, right), backwards, positions], dim=2)
    return c2w


def around(azimuth: Float[Tensor, " V"], elevation: Float[Tensor, " V"], radius: float) -> Float[Tensor, "V 4 4"]:
    """Cameras on a sphere about the origin, which they look at.

    Args:
        azimuth: Radians from the x axis towards the y axis.
        elevation: Radians above the plane of x and y, in (-pi/2, pi/2).
        radius: Of the sphere.
    """
    flat = elevation.cos()
    return look_at(radius * torch.stack([flat * azimuth.cos(), flat * azimuth.sin(), elevation.sin()], dim=1))


def directions(
    c2w: Float[Tensor, "*#N 4 4"], pixels: Int64[Tensor, "*N"], size: tuple[int, int], focal: float
) -> Float[Tensor, "*N 3"]:
    """Directions in the world of the rays through pixels, as far as the plane at distance 1 (so not unit vectors).

    Args:
        c2w: From the camera to the world; a camera per pixel, or [4, 4] for all.
        pixels: Numbers of pixels, row by row.
        size: Height and width.
        focal: In pixels.
    """
    column, row = (pixels % size[1]).to(c2w.dtype), (pixels // size[1]).to(c2w.dtype)
    x, y = (column + 0.5 - size[1] / 2) / focal, (size[0] / 2 - row - 0.5) / focal
    seen = torch.stack([x, y, -torch.ones_like(x)], dim=-1)
    return (c2w[..., :3, :3] * seen[..., None, :]).sum(dim=-1)
