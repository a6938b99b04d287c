"""At which scale, and which part of the frame, a clip of training is seen: the law that real and generated clips share.

The scale s of a clip is that of its whole frame to the resolution of the model. Above it, a patch of the model's
resolution is seen; below it, all of the smaller frame, its surroundings filled by its mirror image. So all clips have
the same size. Half of them are whole frames at the model's resolution, as without views.

Shape legend
    N       videos of a collection
    T       frames of a clip
    H, W    height and width of the source; h, w those of the clip
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, Shaped
from torch import Tensor

from errors import InputError

_log = logging.getLogger(__name__)
_SMALLEST = 0.5  # below 1/3 a mirror image does not fill what surrounds a frame
_LARGEST = 64.0
_OCTAVES = ("below_1", "1", "to_2", "to_4", "above_4")
NUM_FACTS = 3


@dataclass(frozen=True)
class ClipView:
    """What is seen of the frames of a clip.

    Attributes:
        size: Height and width of the whole frame, pixels.
        window: (y0, x0, y1, x1) in these pixels, half open.
        shift: (y, x): of the grid of pixels, in pixels.
    """

    size: tuple[int, int]
    window: tuple[int, int, int, int]
    shift: tuple[float, float] = (0.0, 0.0)

    @staticmethod
    def whole(size: tuple[int, int]) -> ClipView:
        """The whole frame."""
        return ClipView(size, (0, 0, *size))

    def native(self, resolution: tuple[int, int]) -> bool:
        """Whether it is the whole frame at the resolution of the model."""
        return self == ClipView.whole(resolution)

    def scale(self, resolution: tuple[int, int]) -> float:
        """Of the frame to the resolution of the model."""
        return math.sqrt(math.prod(self.size) / math.prod(resolution))

    def facts(self, resolution: tuple[int, int]) -> tuple[float, float, float]:
        """What the discriminator is told: log2 of the scale, and the centre (y, x) of the window in [-1, 1]."""
        y0, x0, y1, x1 = self.window
        centre = (y0 + y1) / self.size[0] - 1, (x0 + x1) / self.size[1] - 1
        return math.log2(self.scale(resolution)), *centre


class ViewLaw:
    """How scale, window and shift of a clip are drawn; the same for all frames of a clip.

    The logarithm of the scale is uniform. A video whose own frames are smaller than the largest scale limits it; a
    generated clip follows the limit of the video that its length is taken from, so both kinds follow one law.

    Args:
        scales: Smallest and largest scale of the frame to the model's resolution, at least 0.5. Where no video is
            larger than that resolution, 0.5 to 1 take the place of larger ones.
        native_share: Share of clips that are whole frames at the model's resolution, [0, 1].
        shift: Largest shift of the grid of pixels, in pixels; not of the native clips. Frames that are shifted but not
            reduced are blurred, so videos are best larger than the largest scale.
    """

    def __init__(self, scales: tuple[float, float] = (1.0, 2.0), native_share: float = 0.5, shift: float = 0.5) -> None:
        low, high = scales
        if not _SMALLEST <= low <= high <= _LARGEST:
            raise InputError(f"views.scales: {low} to {high}: give two scales from {_SMALLEST} to {_LARGEST:g}")
        if not (0 <= native_share <= 1 and 0 <= shift <= 1):
            raise InputError(f"views: native_share {native_share} and shift {shift} have to lie in [0, 1]")
        self.scales, self.native_share, self.shift = (low, high), native_share, shift

    def within(self, limits: Float64[np.ndarray, " N"]) -> ViewLaw:
        """The law for videos that offer these scales: 0.5 to 1 where it asks for more than 1 and none offers it."""
        if limits.max() > 1 or self.scales[1] <= 1:
            return self
        _log.warning(
            "views: no video is larger than the resolution: scales 0.5 to 1 are trained, not %g to %g", *self.scales
        )
        return ViewLaw((_SMALLEST, 1.0), self.native_share, self.shift)

    def range(self, limit: float) -> tuple[float, float]:
        """Smallest and largest scale of a video.

        Args:
            limit: The scale at which it has its own pixels.
        """
        low, high = self.scales
        return low, max(low, min(high, limit))

    def draw(self, rng: np.random.Generator, resolution: tuple[int, int], limit: float) -> ClipView:
        """The view of a clip.

        Args:
            rng: Six numbers are taken from it, whatever they are used for.
            resolution: Height and width of the model's frames.
            limit: Of the video, see `range`.
        """
        native, place_of_scale, *places = rng.uniform(size=6)
        if native < self.native_share:
            return ClipView.whole(resolution)
        low, high = self.range(limit)
        scale = low * (high / low) ** place_of_scale
        size = tuple(max(1, round(side * scale)) for side in resolution)
        patch = tuple(min(sides) for sides in zip(size, resolution, strict=True))
        start = tuple(int(p * (n - m + 1)) for p, n, m in zip(places[:2], size, patch, strict=True))
        stop = tuple(a + n for a, n in zip(start, patch, strict=True))
        y, x = (float((2 * p - 1) * self.shift) for p in places[2:])
        return ClipView(size, (*start, *stop), (y, x))


@runtime_checkable
class SizedVideos(Protocol):
    """Videos of which it is known how large they are.

    Attributes:
        sizes: Heights and widths.
    """

    sizes: Int64[np.ndarray, "N 2"]


def scale_limits(videos: SizedVideos, resolution: tuple[int, int]) -> Float64[np.ndarray, " N"]:
    """The scale at which each video has its own pixels, once it is cut to the shape of the resolution."""
    return (videos.sizes / np.array(resolution)).min(axis=1)


def surrounded(frames: Shaped[Tensor, "*N h w"], resolution: tuple[int, int]) -> Shaped[Tensor, "*N H W"]:
    """Frames in the middle of the resolution, its rest filled by their mirror image; those of that size as they are."""
    for axis, side in ((-2, resolution[0]), (-1, resolution[1])):
        there = frames.shape[axis]
        if there != side:
            place = torch.arange(side, device=frames.device) - (side - there) // 2
            place = place.abs()
            place = torch.minimum(place, 2 * (there - 1) - place)
            frames = frames.index_select(axis, place)
    return frames


def scale_shares(facts: Float[Tensor, "B 3"]) -> dict[str, Float[Tensor, ""]]:
    """Shares of the clips by their scale: below the model's, at it, and octave by octave above; a histogram."""
    octave = facts[:, 0].ceil().clamp(-1, len(_OCTAVES) - 2)  # a scale that is a power of two ends its octave
    octave = torch.where(facts[:, 0] < 0, -1, octave)
    return {name: (octave == number).float().mean() for number, name in enumerate(_OCTAVES, start=-1)}


def patch_share(facts: Float[Tensor, "B 3"]) -> Float[Tensor, " B"]:
    """Pixels of a patch over those of the resolution: 1 from the model's scale on."""
    return 4 ** facts[:, 0].clamp(max=0)
