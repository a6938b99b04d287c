"""Where pixels and moments are: the one place that defines centres, cells, meshes and the conventions of other systems.

Coordinates are float32 and their last axis is ordered (y, x) or (t, y, x). Every axis spans [-1, 1] whatever the size,
and element i of n sits at the centre of its cell, ``2 (i + 0.5) / n - 1``. Where another system counts differently, a
named `Convention` converts.

Shape legend
    N       points
    D       axes of a point
    h, w    height and width of a window
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from errors import InputError

Device = torch.device | str | None


def checked_size(size: Sequence[int]) -> tuple[int, int]:
    """Height and width, both at least one pixel.

    Raises:
        InputError: If the size is anything else.
    """
    height, width = (int(side) for side in size)
    if min(height, width) < 1:
        raise InputError(f"size {height} x {width}: an image needs at least one pixel on each side")
    return height, width


def checked_window(window: Sequence[int] | None, size: Sequence[int]) -> tuple[int, int, int, int]:
    """A window as (y0, x0, y1, x1) in whole pixels, half open; all of the image for None.

    Raises:
        InputError: If the window is empty or leaves the image.
    """
    height, width = checked_size(size)
    y0, x0, y1, x1 = (0, 0, height, width) if window is None else (int(side) for side in window)
    if not (0 <= y0 < y1 <= height and 0 <= x0 < x1 <= width):
        raise InputError(
            f"window ({y0}, {x0}, {y1}, {x1}): give (y0, x0, y1, x1), half open, inside of {height} x {width}"
        )
    return y0, x0, y1, x1


def at_index(
    index: Float[Tensor, "*N"] | Int64[Tensor, "*N"], n: int, span: tuple[float, float] = (-1.0, 1.0)
) -> Float32[Tensor, "*N"]:
    """Where elements of an axis are: centres of n equal cells; fractions lie between them.

    Args:
        index: From 0 on.
        n: Number of cells, at least 1.
        span: Ends of the axis.
    """
    # Element by element, so a part equals the whole's. Rounded as LIIF rounds: where its areas vanish, at a point
    # on the centre of a latent at the border, the last bit decides its weights.
    low, high = span
    radius = (high - low) / (2 * n)
    return low + radius + (2 * radius) * index.float()


def _centres(start: int, stop: int, n: int, device: Device, low: float, high: float) -> Float32[Tensor, " N"]:
    return at_index(torch.arange(start, stop, device=device), n, (low, high))


def centres(n: int, device: Device = None, span: tuple[float, float] = (-1.0, 1.0)) -> Float32[Tensor, " N"]:
    """Centres of n equal cells.

    Args:
        n: Number of cells, at least 1.
        device: Where the result lies.
        span: Ends of the axis.
    """
    if n < 1:
        raise InputError(f"{n} cells: an axis needs at least one")
    return _centres(0, n, n, device, *span)


def lattice(
    shape: Sequence[int], ranges: Sequence[Sequence[float]] | None = None, device: Device = None
) -> Float32[Tensor, "*shape D"]:
    """Centres of the cells of a grid of any number of axes; the last axis holds the coordinates in the axes' order.

    Args:
        shape: Cells per axis.
        ranges: Ends of every axis; None is [-1, 1] for all.
        device: Where the result lies.
    """
    spans = [(-1.0, 1.0)] * len(shape) if ranges is None else ranges
    axes = [centres(n, device, (float(low), float(high))) for n, (low, high) in zip(shape, spans, strict=True)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)


def axes_of(
    size: Sequence[int], window: Sequence[int] | None = None, device: Device = None
) -> tuple[Float32[Tensor, " h"], Float32[Tensor, " w"]]:
    """The y of every row and the x of every column of a window.

    Args:
        size: Height and width of the whole image in pixels.
        window: (y0, x0, y1, x1), half open; None is the whole image.
        device: Where the result lies.
    """
    y0, x0, y1, x1 = checked_window(window, size)
    return _centres(y0, y1, int(size[0]), device, -1, 1), _centres(x0, x1, int(size[1]), device, -1, 1)


def mesh(size: Sequence[int], window: Sequence[int] | None = None, device: Device = None) -> Float32[Tensor, "h w 2"]:
    """Pixel centres (y, x) of a window; bit for bit the crop of the mesh of the whole image.

    Args:
        size: Height and width of the whole image in pixels.
        window: (y0, x0, y1, x1), half open; None is the whole image.
        device: Where the result lies.
    """
    return torch.stack(torch.meshgrid(*axes_of(size, window, device), indexing="ij"), dim=-1)


def cell_of(size: Sequence[int], device: Device = None) -> Float32[Tensor, " D"]:
    """The size of one pixel in coordinates, ``2 / n`` per axis.

    Args:
        size: Pixels per axis of the whole image.
        device: Where the result lies.
    """
    return torch.tensor([2 / n for n in size], dtype=torch.float32, device=device)


def times(num_frames: int, device: Device = None) -> Float32[Tensor, " N"]:
    """The moments of the frames of a video: their centres, as along any other axis."""
    return centres(num_frames, device)


def samples_of(image: Float[Tensor, "C h w"]) -> tuple[Float32[Tensor, "N 2"], Float[Tensor, "N C"]]:
    """Every pixel of an image as a point and its value, row by row.

    Args:
        image: Any values.
    """
    points = mesh(image.shape[1:], device=image.device)
    return rearrange(points, "h w d -> (h w) d"), rearrange(image, "c h w -> (h w) c")


@dataclass(frozen=True)
class Convention:
    """Another system's placing of element i of n: ``low + (high - low) (i + offset) / (n - closed)`` along each axis.

    Args:
        low: The value at the beginning of an axis.
        high: The value at its end.
        offset: 0.5 for centres, 0 where the first element sits at the beginning.
        closed: 1 where the last element sits at the end (an axis of one element has it at the beginning), else 0.
    """

    low: float
    high: float
    offset: float
    closed: int

    def _steps(self, size: Sequence[int], like: Tensor) -> tuple[Tensor, Tensor]:
        counts = torch.tensor(tuple(size), dtype=torch.float32, device=like.device)
        return counts, (counts - self.closed).clamp_min(1)

    def of(self, coords: Float[Tensor, "*N D"], size: Sequence[int]) -> Float32[Tensor, "*N D"]:
        """Our coordinates in the other convention; points between elements keep their place between them.

        Args:
            coords: In [-1, 1], axes as in ``size``.
            size: Elements per axis.
        """
        counts, steps = self._steps(size, coords)
        index = ((coords.float() + 1) * counts - 1) / 2
        return self.low + (self.high - self.low) * ((index + self.offset) / steps)

    def back(self, values: Float[Tensor, "*N D"], size: Sequence[int]) -> Float32[Tensor, "*N D"]:
        """The other system's coordinates in ours.

        Args:
            values: As `of` gives them.
            size: Elements per axis.
        """
        counts, steps = self._steps(size, values)
        index = (values.float() - self.low) / (self.high - self.low) * steps - self.offset
        return (2 * index + 1) / counts - 1


# The names say whose convention it is; the axes' order is (t, y, x) in all (NVP calls our y "x" and our x "y").
LIIF = Convention(-1.0, 1.0, 0.5, 0)
NVP_GRIDS = Convention(0.0, 1.0, 0.0, 1)
NVP_DECODER_TIME = Convention(0.0, 1.0, 0.5, 0)
SIREN = Convention(-1.0, 1.0, 0.0, 1)
FOURIER_FEATURES = Convention(0.0, 1.0, 0.0, 0)
NERV = Convention(0.0, 1.0, 0.0, 0)
CAM_SIGNAL = Convention(0.0, 1.0, 0.0, 1)
CAM_IMAGE = Convention(0.0, 1.0, 0.5, 0)
CAM_VIDEO = Convention(0.0, 1.0, 0.0, 0)
