"""Pictures of one scene with their cameras: what a radiance field is fitted to and measured on.

Shape legend
    V       views
    H, W    height and width
    N       pixels of a draw
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from datasets.single_signal import draws

Background = Literal["white", "black"]


@dataclass(frozen=True)
class Views:
    """Pictures of one size by one kind of camera.

    Attributes:
        name: For messages.
        rgb: Colours on the background: bytes, or float32 in [0, 1].
        c2w: From the camera to the world (OpenGL).
        focal: In pixels.
        near: Distance at which the scene begins, in units of the rays' directions.
        far: Distance at which it ends.
        unit: Whether distances count along unit directions; else they are depths in front of the camera.
        background: What rays see that meet nothing.
        times: Moments in [0, 1]; None: nothing moves.
        depth: Distances along unit directions where they are known, -1 for rays that meet nothing.
    """

    name: str
    rgb: UInt8[Tensor, "V H W 3"] | Float[Tensor, "V H W 3"]
    c2w: Float[Tensor, "V 4 4"]
    focal: float
    near: float
    far: float
    unit: bool = False
    background: Background = "white"
    times: Float[Tensor, " V"] | None = None
    depth: Float[Tensor, "V H W"] | None = None

    def __len__(self) -> int:
        return len(self.rgb)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.rgb.shape[1], self.rgb.shape[2]

    @property
    def num_pixels(self) -> int:
        """Of all views together."""
        return len(self) * self.size[0] * self.size[1]

    @property
    def num_bytes(self) -> int:
        """Memory that the pictures take."""
        return self.rgb.numel() * self.rgb.element_size()

    @property
    def facts(self) -> dict[str, float | str | bool]:
        """What has to be known to look at the scene from elsewhere, as plain values."""
        return {
            "near": self.near,
            "far": self.far,
            "unit": self.unit,
            "background": self.background,
            "height": self.size[0],
            "width": self.size[1],
            "fov_x": 2 * math.atan(self.size[1] / 2 / self.focal),
            "radius": float(self.c2w[:, :3, 3].norm(dim=1).mean()),
            "moving": self.times is not None,
        }

    def to(self, device: torch.device) -> Views:
        """The same on a device."""
        moved = {name: getattr(self, name) for name in ("rgb", "c2w", "times", "depth")}
        return replace(self, **{name: None if value is None else value.to(device) for name, value in moved.items()})

    def colours(self, pixels: Int64[Tensor, " N"]) -> Float[Tensor, "N 3"]:
        """Colours in [0, 1] of pixels, counted view by view and row by row."""
        return unit_range(rearrange(self.rgb, "v h w c -> (v h w) c")[pixels])

    def pixel_numbers(self, key: Sequence[int], numbers: range, one_view: bool = False) -> Int64[Tensor, " N"]:
        """Pixels drawn evenly, with repetition.

        Args:
            key: (seed, update).
            numbers: Which draws: the part of this process.
            one_view: All from one view, which is drawn, too.
        """
        order = torch.arange(numbers.start, numbers.stop, device=self.rgb.device)
        if not one_view:
            return draws(key, order) % self.num_pixels
        view = int(draws((*key, 1), torch.zeros(1, dtype=torch.int64))) % len(self)
        per_view = self.size[0] * self.size[1]
        return view * per_view + draws(key, order) % per_view


def unit_range(rgb: Tensor) -> Tensor:
    """Bytes as float32 in [0, 1]; other values as they are."""
    return rgb.float() / 255 if rgb.dtype == torch.uint8 else rgb
