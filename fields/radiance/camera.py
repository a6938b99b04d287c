"""The rays of the pixels of cameras, and the pictures that cameras see.

Cameras are those of `datasets.cameras`: matrices from camera to world with OpenGL's axes, looking along -z.

Shape legend
    R       rays
    h, w    height and width of a picture
"""

from __future__ import annotations

import math
from typing import Literal, Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Float, Int64
from torch import Tensor

from datasets.cameras import directions
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


def cast(
    origins: Float[Tensor, "R 3"],
    directions: Float[Tensor, "R 3"],
    focal: float,
    near: float,
    far: float,
    times: Float[Tensor, " R"] | None = None,
    unit: bool = False,
) -> Rays:
    """Rays through the centres of pixels, of one camera or of many with the same focal length.

    Args:
        origins: Where the cameras are.
        directions: To the pixels on the plane at depth 1, as `datasets.cameras.directions` gives them.
        focal: Focal length in pixels.
        near: Where the scene begins, in lengths of a direction.
        far: Where it ends.
        times: Moments in [0, 1], or None.
        unit: Make the directions unit vectors, so that depths are distances.
    """
    # A disc with the variance of a square pixel along each axis (Mip-NeRF, section 3.1).
    radii = torch.full_like(directions[:, :1], 2 / math.sqrt(12) / focal)
    lengths = directions.norm(dim=-1, keepdim=True)
    viewdirs = directions / lengths
    if unit:
        directions, radii = viewdirs, radii / lengths
    ends = [torch.full_like(lengths, end) for end in (near, far)]
    return Rays(origins, directions, viewdirs, radii, *ends, times)


def pixel_rays(
    c2w: Float[Tensor, "4 4"],
    size: tuple[int, int],
    focal: float,
    pixels: Int64[Tensor, " R"] | None = None,
    near: float = 2.0,
    far: float = 6.0,
    time: float | None = None,
    unit: bool = False,
) -> Rays:
    """Rays through the centres of the pixels of a picture.

    Args:
        c2w: From camera to world.
        size: Height and width of the whole picture in pixels.
        focal: Focal length in pixels.
        pixels: Numbers of those wanted, row by row; None is all.
        near: Where the scene begins, in lengths of a direction.
        far: Where it ends.
        time: The moment in [0, 1], or None.
        unit: Whether directions are unit vectors; else they end on the plane at depth 1, as in NeRF's programs.

    Raises:
        InputError: If the size, the focal length or the matrix is none.
    """
    size = checked_size(size)
    if not (math.isfinite(focal) and focal > 0):
        raise InputError(f"focal length {focal}: give a positive number of pixels")
    if not torch.isfinite(c2w).all():
        raise InputError("camera: its matrix has numbers that are not finite: mend it")
    pixels = torch.arange(size[0] * size[1], device=c2w.device) if pixels is None else pixels
    towards = directions(c2w, pixels, size, focal)
    times = None if time is None else torch.full_like(towards[:, 0], time)
    return cast(c2w[:3, 3].expand_as(towards), towards, focal, near, far, times, unit)


@torch.no_grad()
def render(
    model: RadianceField,
    c2w: Float[Tensor, "4 4"],
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
