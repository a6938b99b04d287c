"""Recipes: what pairs of a small and a large image a run trains and measures on. A config names one.

Shape legend
    As in `datasets.image_pairs`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from datasets.image_pairs import (
    Pair,
    Picture,
    Size,
    Small,
    bicubic,
    crop_size,
    flipped,
    paired_crop,
    reduced_crop,
    varied_side,
    whole_pair,
)
from errors import InputError


class Recipe(ABC):
    """How pairs are made of images."""

    needs_small = False  # whether small images come from files

    @abstractmethod
    def pair(self, image: Picture, small: Small | None, item: int, num_items: int, rng: np.random.Generator) -> Pair:
        """A pair to train on.

        Args:
            image: The whole large image.
            small: The whole small image that belongs to it; None where there are no files of it.
            item: Number of the image.
            num_items: How many there are.
            rng: All that is random comes from here.
        """

    def whole(self, image: Picture, scale: float) -> Pair:
        """A pair to measure on, by default of the whole image."""
        return whole_pair(image, scale)

    @abstractmethod
    def objection(self, size: Size) -> str | None:
        """What speaks against images of this size, in a few words."""


class RandomCrops(Recipe):
    """Square or oblong crops at a random place and scale, reduced to one size, each with its own scale.

    Where an image is too small for the largest scale, scales are drawn up to the largest that fits.

    Args:
        patch: Side, or height and width, of the small image.
        scales: Smallest and largest scale; between them all are equally likely.
        flip: Turn upside down, mirror, and (square patches) exchange the axes, each in half of the pairs.
    """

    def __init__(
        self, patch: int | tuple[int, int] = 48, scales: tuple[float, float] = (1.0, 4.0), flip: bool = True
    ) -> None:
        self.patch, self.scales, self.flip = _patch(patch), tuple(scales), flip
        if not 1 <= scales[0] <= scales[1] <= 64:
            raise InputError(f"scales: {list(scales)} is no interval of scales from 1 to 64")

    def largest_scale(self, size: Size) -> float:
        """The largest scale whose crop fits into an image of this size, at most that asked for."""
        return min(self.scales[1], size[0] / self.patch[0], size[1] / self.patch[1])

    def objection(self, size: Size) -> str | None:
        height, width = crop_size(self.patch, self.scales[0])
        return f"smaller than {height}x{width} pixels" if size[0] < height or size[1] < width else None

    def pair(self, image: Picture, small: Small | None, item: int, num_items: int, rng: np.random.Generator) -> Pair:
        size = image.shape[:2]
        scale = rng.uniform(self.scales[0], max(self.scales[0], self.largest_scale(size)))
        pair = reduced_crop(image, self.patch, scale, _corner(size, crop_size(self.patch, scale), rng))
        return _random_flip(pair, rng, self.patch) if self.flip else pair


class PairedCrops(Recipe):
    """Crops of small images that come from files, at the scale that the files have.

    Args:
        patch: Side, or height and width, of the small crop.
        flip: As for `RandomCrops`.
    """

    needs_small = True

    def __init__(self, patch: int | tuple[int, int] = 48, flip: bool = True) -> None:
        self.patch, self.flip = _patch(patch), flip

    def objection(self, size: Size) -> str | None:
        height, width = self.patch
        return f"smaller than {height}x{width} pixels" if size[0] < height or size[1] < width else None

    def pair(self, image: Picture, small: Small | None, item: int, num_items: int, rng: np.random.Generator) -> Pair:
        if small is None or small.shape[0] < self.patch[0] or small.shape[1] < self.patch[1]:
            raise InputError(f"no small image of at least {self.patch[0]}x{self.patch[1]} pixels: give lr_root")
        pair = paired_crop(small, image, self.patch, _corner(small.shape[:2], self.patch, rng))
        return _random_flip(pair, rng, self.patch) if self.flip else pair


class VariedSizes(Recipe):
    """Whole square images of one small size, with large ones whose sides go evenly over the data set.

    Args:
        small: Side of the small image.
        sides: Smallest and largest side of the large image.
        source: Side that images are brought to first; both are made of that.
        resize_to: Side that the large image is brought back to, for models of one output size; None: it stays varied.
        flip: Mirror half of the pairs left to right.
    """

    def __init__(
        self,
        small: int,
        sides: tuple[int, int],
        source: int = 256,
        resize_to: int | None = None,
        flip: bool = True,
    ) -> None:
        if not 1 <= small <= sides[0] <= sides[1] <= source:
            raise InputError(f"small, sides, source: {small}, {list(sides)}, {source} do not grow in this order")
        self.small, self.sides, self.source = small, tuple(sides), source
        self.resize_to, self.flip = resize_to, flip

    def objection(self, size: Size) -> str | None:
        if size[0] != size[1]:
            return "not square"
        return f"smaller than {self.source}x{self.source} pixels" if size[0] < self.source else None

    def pair(self, image: Picture, small: Small | None, item: int, num_items: int, rng: np.random.Generator) -> Pair:
        source = bicubic(image, (self.source, self.source))
        side = varied_side(item, num_items, self.sides)
        large = bicubic(source, (side, side))
        if self.resize_to is not None:
            large = bicubic(large, (self.resize_to, self.resize_to))
        pair = bicubic(source, (self.small, self.small)), large
        mirror = self.flip and rng.uniform() < 0.5
        return flipped(pair[0], False, mirror, False), flipped(pair[1], False, mirror, False)

    def whole(self, image: Picture, scale: float) -> Pair:
        source = bicubic(image, (self.source, self.source))
        side = round(self.small * scale)
        return bicubic(source, (self.small, self.small)), bicubic(source, (side, side))


def _patch(patch: int | tuple[int, int]) -> Size:
    height, width = (patch, patch) if isinstance(patch, int) else patch
    if not 1 <= min(height, width) <= max(height, width) <= 4096:
        raise InputError(f"patch: {patch} is not possible; each side has 1 to 4096 pixels")
    return height, width


def _corner(size: Size, crop: Size, rng: np.random.Generator) -> Size:
    """First row and column of a crop, anywhere in the image with the same probability."""
    return int(rng.integers(size[0] - crop[0] + 1)), int(rng.integers(size[1] - crop[1] + 1))


def _random_flip(pair: Pair, rng: np.random.Generator, patch: Size) -> Pair:
    rows, columns, transpose = (rng.uniform(size=3) < 0.5).tolist()
    transpose = transpose and patch[0] == patch[1]  # all pairs of a batch have one shape
    return flipped(pair[0], rows, columns, transpose), flipped(pair[1], rows, columns, transpose)
