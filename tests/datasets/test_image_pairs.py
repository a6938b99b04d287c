from __future__ import annotations

import numpy as np
import pytest

from datasets.image_pairs import (
    bicubic,
    crop_size,
    flipped,
    integer_scale,
    paired_crop,
    paired_whole,
    pixel_samples,
    reduced_crop,
    varied_side,
    whole_pair,
)
from errors import InputError


def noise(*size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)


def cubic(t: np.ndarray, a: float = -0.5) -> np.ndarray:
    """Keys' kernel."""
    t = np.abs(t)
    near, far = (a + 2) * t**3 - (a + 3) * t**2 + 1, a * (t**3 - 5 * t**2 + 8 * t - 4)
    return np.where(t < 1, near, np.where(t < 2, far, 0))


def by_definition(image: np.ndarray, size: int, axis: int) -> np.ndarray:
    """One axis reduced with the kernel widened by the reduction, weights normalised, rounded to 8 bits."""
    n = image.shape[axis]
    centre = (np.arange(size) + 0.5) * n / size
    weights = cubic((np.arange(n) + 0.5 - centre[:, None]) * size / n)
    weights /= weights.sum(axis=1, keepdims=True)
    result = np.moveaxis(np.tensordot(weights, image.astype(float), (1, axis)), 0, axis)
    return np.clip(np.floor(result + 0.5), 0, 255)


def test_bicubic_is_the_widened_kernel_of_keys_rounded_after_each_axis() -> None:
    image = noise(30, 21)
    expected = by_definition(by_definition(image, 7, 1), 10, 0)
    difference = np.abs(bicubic(image, (10, 7)).astype(float) - expected)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01  # Pillow's weights have 22 bits


def test_bicubic_leaves_an_image_of_that_size_as_it_is() -> None:
    image = noise(5, 9)
    assert bicubic(image, (5, 9)) is image


@pytest.mark.parametrize(
    ("patch", "scale", "size"),
    [((48, 48), 1.0, (48, 48)), ((48, 48), 4.0, (192, 192)), ((5, 5), 2.5, (12, 12)), ((3, 7), 1.5, (4, 10))],
)
def test_crops_are_rounded_half_to_even(patch: tuple[int, int], scale: float, size: tuple[int, int]) -> None:
    assert crop_size(patch, scale) == size


def test_a_reduced_crop_is_the_crop_reduced_and_sees_nothing_beyond_it() -> None:
    image = noise(40, 50)
    small, large = reduced_crop(image, (6, 8), 3.0, (11, 13))
    assert np.array_equal(large, image[11:29, 13:37])
    assert np.array_equal(small, bicubic(np.ascontiguousarray(image[11:29, 13:37]), (6, 8)))


@pytest.mark.parametrize(
    ("scale", "small", "large"), [(3.0, (24, 21), (72, 63)), (5.5, (13, 11), (72, 60)), (2.5, (28, 25), (70, 62))]
)
def test_whole_pairs_are_cut_to_what_the_scale_divides(
    scale: float, small: tuple[int, int], large: tuple[int, int]
) -> None:
    image = noise(72, 64)
    pair = whole_pair(image, scale)
    assert (pair[0].shape[:2], pair[1].shape[:2]) == (small, large)
    assert np.array_equal(pair[1], image[: large[0], : large[1]])


def test_an_image_smaller_than_the_scale_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be reduced 30 times"):
        whole_pair(noise(29, 64), 30)


def test_paired_files_give_their_scale_and_what_is_left_over_is_cut() -> None:
    small, image = noise(6, 7), noise(20, 23)
    assert integer_scale((6, 7), (20, 23)) == 3
    pair = paired_whole(small, image)
    assert np.array_equal(pair[0], small) and np.array_equal(pair[1], image[:18, :21])
    part, large = paired_crop(small, image, (2, 3), (3, 1))
    assert np.array_equal(part, small[3:5, 1:4]) and np.array_equal(large, image[9:15, 3:12])


@pytest.mark.parametrize("large", [(5, 20), (12, 21)])
def test_pairs_that_do_not_belong_together_are_refused(large: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=r"photo: .* is not a multiple"):
        paired_whole(noise(6, 7), noise(*large), "photo")


def test_sides_go_evenly_over_the_data_set() -> None:
    assert [varied_side(i, 8, (32, 256)) for i in range(8)] == [32, 64, 96, 128, 160, 192, 224, 256]
    assert [varied_side(i, 5, (1, 7)) for i in range(5)] == [1, 2, 4, 6, 7]  # 2.5 and 5.5 to the even neighbour
    assert varied_side(0, 1, (32, 256)) == 32


def test_flips_are_those_of_the_axes_in_order() -> None:
    image = noise(3, 4)
    assert np.array_equal(flipped(image, False, False, False), image)
    turned = flipped(image, True, False, True)
    for y in range(4):
        for x in range(3):
            assert np.array_equal(turned[y, x], image[2 - x, y])


def test_reducing_and_flipping_can_be_exchanged() -> None:
    image = noise(24, 24)
    for rows in (False, True):
        for columns in (False, True):
            there = bicubic(flipped(image, rows, columns, True), (8, 8)).astype(int)
            back = flipped(bicubic(image, (8, 8)), rows, columns, True).astype(int)
            assert np.abs(there - back).max() <= 1  # the two axes are rounded in another order


def test_samples_are_pixels_without_replacement() -> None:
    rng = np.random.default_rng(0)
    pixels = pixel_samples(noise(10, 12), 90, rng)
    assert pixels.dtype == np.int64 and len(set(pixels.tolist())) == 90 and 0 <= pixels.min() <= pixels.max() < 120
    assert sorted(pixel_samples(noise(10, 12), 120, rng).tolist()) == list(range(120))
    with pytest.raises(InputError, match="num_samples"):
        pixel_samples(noise(10, 12), 121, rng)
