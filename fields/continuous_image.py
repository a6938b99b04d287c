"""Images as functions of continuous coordinates, decoded from a low-resolution image: what all such models share.

An encoder makes features of an image once; points are then queried in chunks of any size. `decode` takes features and
points; `prepare` and `query` are its two halves, so that what depends on the features alone is done once per image.

Shape legend
    B       images
    C       channels of features
    N       points per image
    h, w    height and width of an image, its features, or a window
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn

from errors import InputError
from fields.coords import axes_of, cell_of, checked_window
from fields.interface import ranges

# Points per image that are queried at once where the caller does not say.
CHUNK = 8192


def checked_image(image: Tensor) -> Tensor:
    """Images ``[B, 3, h, w]`` of at least one pixel.

    Raises:
        InputError: If they are anything else.
    """
    if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point():
        raise InputError(f"image {tuple(image.shape)} {image.dtype}: give floats [B, 3, height, width] in [-1, 1]")
    if 0 in image.shape:
        raise InputError(f"image {tuple(image.shape)}: it has no pixels")
    return image


def checked_points(coords: Tensor, cell: Tensor | None, num_images: int) -> tuple[Tensor, Tensor | None]:
    """Points and cells ``[B, N, 2]`` as float32, whatever autocast is on.

    Raises:
        InputError: If a shape is another.
    """
    if coords.ndim != 3 or coords.shape[-1] != 2 or coords.shape[0] != num_images:
        raise InputError(f"coords {tuple(coords.shape)}: give [{num_images}, N, 2] as (y, x), one set per image")
    if cell is not None and cell.shape != coords.shape:
        raise InputError(f"cell {tuple(cell.shape)}: give the shape of coords, {tuple(coords.shape)}")
    return coords.float(), None if cell is None else cell.float()


class ContinuousImage(nn.Module):
    """An encoder and a way to read its features at points.

    Args:
        encoder: From images to features; has ``out_dim``.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def encode(self, image: Tensor) -> Tensor:
        """Features ``[B, C, h, w]`` of images.

        Args:
            image: ``[B, 3, h, w]`` in [-1, 1].
        """
        return self.encoder(checked_image(image))

    def prepare(self, features: Tensor) -> Tensor:
        """What can be made of the features before any point is known."""
        return features

    def query(self, prepared: Tensor, coords: Tensor, cell: Tensor | None) -> Tensor:
        """Values at points of what `prepare` made; arguments as in `decode`."""
        raise NotImplementedError(f"{type(self).__name__} says how its features are read")

    def decode(self, features: Tensor, coords: Tensor, cell: Tensor | None = None) -> Tensor:
        """Values ``[B, N, 3]`` at points, nominally in [-1, 1].

        Args:
            features: Of `encode`.
            coords: Points (y, x) in [-1, 1], ``[B, N, 2]``.
            cell: Size of the pixel that is asked for at each point, in the units of ``coords``, ``[B, N, 2]``.
        """
        coords, cell = checked_points(coords, cell, len(features))
        return self.query(self.prepare(features), coords, cell)

    def forward(self, image: Tensor, coords: Tensor, cell: Tensor | None = None) -> Tensor:
        """Values ``[B, N, 3]`` at points of images; arguments as in `encode` and `decode`."""
        return self.decode(self.encode(image), coords, cell)

    @torch.no_grad()
    def render(
        self,
        image: Tensor,
        size: Sequence[int],
        window: Sequence[int] | None = None,
        chunk: int = CHUNK,
    ) -> Tensor:
        """Images ``[B, 3, h, w]`` at another size, or a window of them, without gradients.

        Args:
            image: ``[B, 3, h, w]`` in [-1, 1].
            size: Height and width of the whole result in pixels; any, smaller ones included (without antialiasing).
            window: (y0, x0, y1, x1) of the result, half open; None is all of it.
            chunk: Points per image that are queried at once: memory beside the result is proportional to it.
        """
        return self.render_features(self.encode(image), size, window, chunk)

    @torch.no_grad()
    def render_features(
        self, features: Tensor, size: Sequence[int], window: Sequence[int] | None = None, chunk: int = CHUNK
    ) -> Tensor:
        """`render` of images that are encoded already."""
        y0, x0, y1, x1 = checked_window(window, size)
        rows, columns = axes_of(size, window, features.device)
        prepared, cell = self.prepare(features), cell_of(size, features.device)
        values = features.new_empty(len(features), 3, (y1 - y0) * (x1 - x0), dtype=torch.float32)
        for part in ranges(values.shape[-1], chunk):
            index = torch.arange(part.start, part.stop, device=features.device)
            points = torch.stack((rows[index // len(columns)], columns[index % len(columns)]), dim=-1)
            points = points.expand(len(features), -1, -1)
            values[..., part] = rearrange(self.query(prepared, points, cell.expand_as(points)), "b n c -> b c n")
        return rearrange(values, "b c (h w) -> b c h w", h=y1 - y0)
