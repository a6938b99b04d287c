"""Pairs of a small and a large image for super-resolution: the recipes of LIIF (Chen et al. 2021), to the letter.

Small images are made as torchvision's Resize makes them of a PIL image: by Pillow's bicubic filter (a = -0.5, its
window grown with the reduction), rounded to 8 bits. That is not MATLAB's imresize, with which the published small
images of DIV2K and the benchmark sets were made.

Shape legend
    H, W    height and width of an image
    h, w    those of a small version of it
    p, q    those of the small image of a pair; u, v those of its large one
    Q       pixels of the large image that are looked at
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from errors import InputError

Picture = UInt8[np.ndarray, "H W 3"]
Small = UInt8[np.ndarray, "h w 3"]
Large = UInt8[np.ndarray, "u v 3"]
Pair = tuple[UInt8[np.ndarray, "p q 3"], Large]
Size = tuple[int, int]


def bicubic(image: Picture, size: Size) -> Small:
    """The image at another size, by Pillow's bicubic filter, 8 bits per channel.

    Args:
        image: Of any size.
        size: Height and width wanted.
    """
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size[::-1], Image.Resampling.BICUBIC))


def crop_size(patch: Size, scale: float) -> Size:
    """Height and width of the crop that is ``scale`` times as large as a patch, rounded half to even."""
    return round(patch[0] * scale), round(patch[1] * scale)


def reduced_crop(image: Picture, patch: Size, scale: float, corner: Size) -> Pair:
    """A crop of an image, and that crop reduced to the size of a patch.

    Args:
        image: Large enough for the crop.
        patch: Height and width of the small image.
        scale: How many times larger the crop is.
        corner: Its first row and column.
    """
    height, width = crop_size(patch, scale)
    crop = image[corner[0] : corner[0] + height, corner[1] : corner[1] + width]
    return bicubic(crop, patch), crop


def whole_pair(image: Picture, scale: float) -> Pair:
    """An image, cut at the bottom and the right to what ``scale`` divides, and that reduced by ``scale``.

    Args:
        image: Of any size.
        scale: At least 1; fractions too: the sides of the large image are rounded then.

    Raises:
        InputError: The image is smaller than one pixel of the small one.
    """
    small = (math.floor(image.shape[0] / scale + 1e-9), math.floor(image.shape[1] / scale + 1e-9))
    if min(small) < 1:
        raise InputError(f"an image of {image.shape[0]}x{image.shape[1]} pixels cannot be reduced {scale:g} times")
    height, width = crop_size(small, scale)
    large = image[:height, :width]
    return bicubic(large, small), large


def integer_scale(small: Size, large: Size, name: str = "") -> int:
    """How many times larger the second of two images is: a whole number, rows and columns left over being cut.

    Raises:
        InputError: It is not larger, or not by the same whole number along both axes.
    """
    scale = large[0] // small[0]
    if scale < 1 or large[1] // small[1] != scale:
        raise InputError(
            f"{name or 'pair'}: {large[0]}x{large[1]} is not a multiple of {small[0]}x{small[1]}: pair each image with "
            "its own small version"
        )
    return scale


def paired_whole(small: Small, image: Picture, name: str = "") -> Pair:
    """A small image as it is, and of the large one what belongs to it."""
    scale = integer_scale(small.shape[:2], image.shape[:2], name)
    return small, image[: small.shape[0] * scale, : small.shape[1] * scale]


def paired_crop(small: Small, image: Picture, patch: Size, corner: Size) -> Pair:
    """A patch of a small image, and the same place of the large one.

    Args:
        small: At least as large as the patch.
        image: A whole number of times larger.
        patch: Height and width of the patch.
        corner: Its first row and column.
    """
    scale = integer_scale(small.shape[:2], image.shape[:2])
    (y, x), (height, width) = corner, patch
    large = image[y * scale : (y + height) * scale, x * scale : (x + width) * scale]
    return small[y : y + height, x : x + width], large


def varied_side(item: int, num_items: int, sides: tuple[int, int]) -> int:
    """Side of the large image of one item: from the smallest to the largest, evenly over the items."""
    smallest, largest = sides
    return round(smallest + (largest - smallest) * item / max(num_items - 1, 1))


def flipped(image: Picture, rows: bool, columns: bool, transpose: bool) -> Large:
    """An image turned upside down, then mirrored left to right, then with its axes exchanged."""
    image = image[::-1] if rows else image
    image = image[:, ::-1] if columns else image
    return image.transpose(1, 0, 2) if transpose else image


def pixel_samples(image: Picture, count: int, rng: np.random.Generator) -> Int64[np.ndarray, " Q"]:
    """Numbers of pixels, counted row by row, each at most once.

    Raises:
        InputError: The image has fewer.
    """
    num_pixels = image.shape[0] * image.shape[1]
    if count > num_pixels:
        raise InputError(f"num_samples: {count} of {image.shape[0]}x{image.shape[1]} pixels: ask for fewer")
    return rng.choice(num_pixels, count, replace=False).astype(np.int64)
