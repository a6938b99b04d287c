"""What is looked at: a window of a frame of some size, and where its pixels are in the native frame.

Places are counted in pixels of the native frame, 0 at the centre of the first one, in float64 on the host, so neither
autocast nor large sizes move them.

Shape legend
    H, W    height and width of the native frame
    n       rows or columns
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from errors import InputError
from fields.coords import checked_size, checked_window
from stylegan_v.ops.bicubic import Taps, taps


@dataclass(frozen=True)
class View:
    """A window of a frame of some size.

    Attributes:
        size: Height and width of the whole frame in pixels; no whole numbers where it is zoomed.
        window: (y0, x0, y1, x1) in whole pixels of that frame, half open.
        shift: By how much every pixel is moved (y, x), in pixels of that frame.
    """

    size: tuple[float, float]
    window: tuple[int, int, int, int]
    shift: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(
        cls,
        resolution: tuple[int, int],
        size: Sequence[int] | None = None,
        window: Sequence[int] | None = None,
        shift: Sequence[float] | None = None,
    ) -> View:
        """A checked view; by default of the whole native frame.

        Raises:
            InputError: The size is none, or the window is empty or leaves the frame.
        """
        whole = checked_size(resolution if size is None else size)
        y, x = (0.0, 0.0) if shift is None else (float(one) for one in shift)
        return cls(whole, checked_window(window, whole), (y, x))

    @classmethod
    def zoomed(cls, resolution: tuple[int, int], shape: Sequence[int], centre: Sequence[float], factor: float) -> View:
        """A part of the frame at any magnification, not held to whole pixels: a path of them runs smoothly.

        Args:
            resolution: (H, W) of the native frame.
            shape: Height and width of what is seen, pixels; of another aspect, it is stretched as the size would be.
            centre: (x, y) of it in the frame, in [0, 1] from top left; what is seen stays inside of the frame.
            factor: 1 sees the whole frame, 2 half of each side.

        Raises:
            InputError: The factor is below 1, or the centre is not in the frame.
        """
        if not 1 <= factor < math.inf or not all(0 <= one <= 1 for one in centre):
            raise InputError(
                f"zoom {centre[0]:g},{centre[1]:g},{factor:g}: give x and y in [0, 1], a factor of 1 or more"
            )
        height, width = checked_size(shape)
        starts = [
            min(max(middle * factor - 0.5, 0.0), factor - 1) * side
            for middle, side in zip((centre[1], centre[0]), (height, width), strict=True)
        ]
        return cls((height * factor, width * factor), (0, 0, height, width), (starts[0], starts[1]))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the window."""
        y0, x0, y1, x1 = self.window
        return y1 - y0, x1 - x0

    def native(self, resolution: tuple[int, int]) -> bool:
        """Whether this is the whole native frame."""
        return self == View.of(resolution)

    def on_pixels(self, axis: int, resolution: tuple[int, int]) -> bool:
        """Whether the rows (columns) are rows of the native frame."""
        return self.size[axis] == resolution[axis] and self.shift[axis] == 0

    def places(self, axis: int, resolution: tuple[int, int], apron: int = 0) -> Float64[Tensor, " n"]:
        """Where the rows (columns) of the window are in the native frame, in its pixels.

        Args:
            axis: 0 for rows, 1 for columns.
            resolution: (H, W).
            apron: So many more rows on either side.
        """
        start, stop = self.window[axis] - apron, self.window[axis + 2] + apron
        scale = resolution[axis] / self.size[axis]
        return (torch.arange(start, stop, dtype=torch.float64) + (0.5 + self.shift[axis])) * scale - 0.5

    def reduction(self, axis: int, resolution: tuple[int, int]) -> Taps | None:
        """The native rows (columns) that those of the window are means of; None where they are not below native."""
        widen = resolution[axis] / self.size[axis]
        return taps(self.places(axis, resolution), resolution[axis], widen) if widen > 1 else None

    def finer(self, resolution: tuple[int, int]) -> tuple[View, list[Taps | None]]:
        """The view to be drawn, never below native size, and what reduces it to this one along both axes."""
        reductions = [self.reduction(axis, resolution) for axis in (0, 1)]
        size, shift, window = list(self.size), list(self.shift), list(self.window)
        for axis, found in enumerate(reductions):
            if found is not None:
                size[axis], shift[axis] = resolution[axis], 0.0
                window[axis], window[axis + 2] = int(found.index.min()), int(found.index.max()) + 1
                reductions[axis] = found.behind(window[axis])
        return View(tuple(size), tuple(window), tuple(shift)), reductions


def views_of(
    resolution: tuple[int, int],
    num_videos: int,
    size: Sequence | None = None,
    window: Sequence | None = None,
    shift: Sequence | None = None,
) -> list[View]:
    """The view of each video.

    Args:
        resolution: (H, W).
        num_videos: How many.
        size: Of whole frames, for all videos or a list of one for each; None is native.
        window: For all videos or a list of one for each; None is the whole frame.
        shift: For all videos or a list of one for each; None is none.

    Raises:
        InputError: A list has another length, a view cannot be, or their windows differ in shape.
    """
    each = [
        _for_each(name, value, num_videos) for name, value in (("size", size), ("window", window), ("shift", shift))
    ]
    views = [View.of(resolution, *given) for given in zip(*each, strict=True)]
    if len({view.shape for view in views}) > 1:
        raise InputError("window: those of the videos differ in height or width: give windows of one shape")
    return views


def _for_each(name: str, given: Sequence | None, num_videos: int) -> list[Sequence | None]:
    if given is None or not isinstance(given[0], Sequence):
        return [given] * num_videos
    if len(given) != num_videos:
        raise InputError(f"{name}: {len(given)} of them for {num_videos} videos: give one for all, or one for each")
    return list(given)
