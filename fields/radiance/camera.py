"""Pinhole cameras: the rays of their pixels, and the pictures that they see.

Cameras are matrices from camera to world in OpenGL's manner: x to the right, y up, and the camera looks along -z.

Shape legend
    R       rays
    h, w    height and width of a picture
"""

from __future__ import annotations

import math
from typing import Literal, Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from errors import InputError
from fields.coords import checked_size
from fields.interface import ranges
from fields.radiance.rays import Rays, Rendered, View

Background = Literal["white", "black"]
CHUNK = 4096  # rays at once, where the caller does not say


@runtime_checkable
class RadianceField(Protocol):
    """A model that sees along rays."""

    def render_rays(
        self, rays: Rays, jitter: torch.Generator | None = None, background: Background = "white"
    ) -> list[Rendered]:
        """What is seen, by every level from coarse to fine.

        Args:
            rays: Each is seen by itself.
            jitter: Draws where along the rays it is looked; None looks at fixed places.
            background: Behind the scene.
        """
        ...


def _all_pixels(size: tuple[int, int], device: torch.device) -> Int[Tensor, "R 2"]:
    rows, columns = (torch.arange(side, device=device) for side in checked_size(size))
    return torch.cartesian_prod(rows, columns)


def _checked(c2w: Tensor, focal: float) -> None:
    if not (math.isfinite(focal) and focal > 0):
        raise InputError(f"focal length {focal}: give a positive number of pixels")
    if not torch.isfinite(c2w).all():
        raise InputError("camera: its matrix has numbers that are not finite: mend it")


def pixel_rays(
    c2w: Float[Tensor, "rows 4"],
    size: tuple[int, int],
    focal: float,
    pixels: Int[Tensor, "R 2"] | None = None,
    near: float = 2.0,
    far: float = 6.0,
    time: float | None = None,
    unit: bool = False,
) -> Rays:
    """Rays through the centres of pixels.

    Args:
        c2w: From camera to world, its first three rows at least.
        size: Height and width of the whole picture in pixels.
        focal: Focal length in pixels.
        pixels: (row, column) of those wanted; None is all, row by row.
        near: Where the scene begins, in lengths of a direction.
        far: Where it ends.
        time: The moment in [0, 1], or None.
        unit: Whether directions are unit vectors; else they end on the plane at depth 1, as in NeRF's programs.

    Raises:
        InputError: If the size, the focal length or the matrix is none.
    """
    height, width = checked_size(size)
    _checked(c2w, focal)
    rows, columns = (_all_pixels(size, c2w.device) if pixels is None else pixels).to(c2w.dtype).unbind(dim=-1)
    x, y = (columns + 0.5 - width / 2) / focal, (height / 2 - rows - 0.5) / focal
    directions = torch.stack((x, y, -torch.ones_like(x)), dim=-1) @ c2w[:3, :3].t()
    # A disc with the variance of a square pixel along each axis (Mip-NeRF, section 3.1).
    radii = (2 / math.sqrt(12) / focal * c2w[:3, 0].norm()).expand(len(x), 1)
    lengths = directions.norm(dim=-1, keepdim=True)
    viewdirs = directions / lengths
    if unit:
        directions, radii = viewdirs, radii / lengths
    ends = [torch.full_like(lengths, end) for end in (near, far)]
    times = None if time is None else torch.full_like(x, time)
    return Rays(c2w[:3, 3].expand_as(directions), directions, viewdirs, radii, *ends, times)


@torch.no_grad()
def render(
    model: RadianceField,
    c2w: Float[Tensor, "rows 4"],
    size: tuple[int, int],
    focal: float,
    near: float,
    far: float,
    time: float | None = None,
    chunk: int = CHUNK,
    background: Background = "white",
    unit: bool = False,
) -> View:
    """The picture that a camera sees, by the finest level.

    Args:
        model: Sees along rays.
        c2w: From camera to world, on the model's device.
        size: Height and width in pixels.
        focal: Focal length in pixels.
        near: Where the scene begins, in lengths of a direction.
        far: Where it ends.
        time: The moment in [0, 1], or None.
        chunk: Rays at once. They are seen one by one, so that the result does not depend on it.
        background: Behind the scene.
        unit: Whether depths are distances from the camera; else depths in front of it.

    Raises:
        InputError: If the size, the focal length, the matrix or the chunk is none.
    """
    rays = pixel_rays(c2w, size, focal, None, near, far, time, unit)
    parts = [model.render_rays(rays[part], background=background)[-1] for part in ranges(len(rays), chunk)]
    rgb, depth, opacity = (torch.cat([getattr(part, name) for part in parts]) for name in ("rgb", "depth", "opacity"))
    shape = {"h": size[0], "w": size[1]}
    pictures = [rearrange(value, "(h w) -> h w", **shape) for value in (depth, opacity)]
    return View(rearrange(rgb, "(h w) c -> h w c", **shape), *pictures)
