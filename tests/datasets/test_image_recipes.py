from __future__ import annotations

import numpy as np
import pytest

from datasets.image_pairs import bicubic, flipped
from datasets.image_recipes import PairedCrops, RandomCrops, VariedSizes
from errors import InputError


def noise(*size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)


def place_of(crop: np.ndarray, image: np.ndarray) -> list[tuple[int, int]]:
    """Where a crop lies in an image."""
    height, width = crop.shape[:2]
    starts = np.argwhere((image == crop[0, 0]).all(axis=2))
    return [(y, x) for y, x in starts.tolist() if np.array_equal(image[y : y + height, x : x + width], crop)]


def draws(recipe: RandomCrops, image: np.ndarray, count: int = 300) -> list[tuple[np.ndarray, np.ndarray]]:
    return [recipe.pair(image, None, 0, 1, np.random.default_rng(n)) for n in range(count)]


def test_random_crops_are_crops_of_random_scale_and_place_reduced_to_the_patch() -> None:
    image, places, sides = noise(40, 60), [], []
    for small, large in draws(RandomCrops(8, (1, 4), flip=False), image):
        assert small.shape == (8, 8, 3)
        assert np.array_equal(small, bicubic(np.ascontiguousarray(large), (8, 8)))
        places += place_of(large, image)
        sides.append(large.shape[0])
    assert len(places) == 300  # each is there, once
    assert set(sides) == set(range(8, 33))
    # round(8 s), s uniform in [1, 4]: 24 steps of 1 / 24, the first and last of half the width
    assert abs(np.mean(sides) - 20) < 1.3
    assert {y for y, _ in places} >= set(range(30)) and {x for _, x in places} >= set(range(40))


def test_flips_occur_in_all_eight_ways_and_are_the_same_for_both() -> None:
    image = noise(8, 8)
    ways = [(r, c, t) for r in (False, True) for c in (False, True) for t in (False, True)]
    counts = dict.fromkeys(ways, 0)
    for small, large in draws(RandomCrops(8, (1, 1)), image, 400):
        assert np.array_equal(small, large)  # nothing to reduce
        (way,) = [way for way in ways if np.array_equal(large, flipped(image, *way))]
        counts[way] += 1
    assert min(counts.values()) > 25


def test_both_images_of_a_pair_are_flipped_after_reducing() -> None:
    image = noise(16, 16)
    plain = bicubic(image, (8, 8))
    for small, large in draws(RandomCrops(8, (2, 2)), image, 40):
        assert any(
            np.array_equal(large, flipped(image, r, c, t)) and np.array_equal(small, flipped(plain, r, c, t))
            for r in (False, True)
            for c in (False, True)
            for t in (False, True)
        )


def test_oblong_patches_keep_their_shape() -> None:
    for small, large in draws(RandomCrops((4, 16), (1, 2)), noise(40, 40), 50):
        assert small.shape == (4, 16, 3)
        assert large.shape[0] * 4 - 4 <= large.shape[1] <= large.shape[0] * 4 + 4


def test_scales_end_where_the_image_does() -> None:
    recipe = RandomCrops(8, (1, 4))
    assert recipe.largest_scale((100, 100)) == 4 and recipe.largest_scale((12, 100)) == 1.5
    sides = {large.shape[0] for _, large in draws(recipe, noise(12, 100))}
    assert sides == {8, 9, 10, 11, 12}
    assert recipe.objection((8, 8)) is None and recipe.objection((7, 100)) == "smaller than 8x8 pixels"


def test_paired_crops_show_the_same_place_of_both() -> None:
    image, small = noise(30, 36), noise(10, 12)[::-1]
    for n in range(50):
        pair = PairedCrops(4, flip=False).pair(image, small, 0, 1, np.random.default_rng(n))
        ((y, x),) = place_of(pair[0], small)
        assert place_of(pair[1], image) == [(3 * y, 3 * x)]
    with pytest.raises(InputError, match="lr_root"):
        PairedCrops(4).pair(image, None, 0, 1, np.random.default_rng(0))


def test_varied_sizes_follow_the_number_of_the_image() -> None:
    image, recipe = noise(40, 40), VariedSizes(8, (8, 32), source=40, flip=False)
    for item, side in enumerate([8, 16, 24, 32]):
        small, large = recipe.pair(image, None, item, 4, np.random.default_rng(item))
        assert np.array_equal(small, bicubic(image, (8, 8)))
        assert np.array_equal(large, bicubic(image, (side, side)))


def test_varied_sizes_can_be_brought_back_to_one() -> None:
    image = noise(80, 80)
    recipe = VariedSizes(8, (8, 32), source=40, resize_to=32, flip=False)
    source = bicubic(image, (40, 40))
    _, large = recipe.pair(image, None, 1, 4, np.random.default_rng(0))
    assert np.array_equal(large, bicubic(bicubic(source, (16, 16)), (32, 32)))


def test_varied_sizes_are_only_mirrored() -> None:
    image, recipe, mirrored = noise(16, 16), VariedSizes(16, (16, 16), source=16), 0
    for n in range(100):
        small, large = recipe.pair(image, None, 0, 1, np.random.default_rng(n))
        assert np.array_equal(small, large)
        assert np.array_equal(large, image) or np.array_equal(large, image[:, ::-1])
        mirrored += not np.array_equal(large, image)
    assert 30 < mirrored < 70


def test_varied_sizes_are_measured_at_the_full_size() -> None:
    image = noise(64, 64)
    small, large = VariedSizes(4, (4, 32), source=32).whole(image, 8)
    source = bicubic(image, (32, 32))
    assert np.array_equal(large, source) and np.array_equal(small, bicubic(source, (4, 4)))


def test_varied_sizes_want_square_images() -> None:
    recipe = VariedSizes(8, (8, 32), source=40)
    assert recipe.objection((40, 41)) == "not square"
    assert recipe.objection((39, 39)) == "smaller than 40x40 pixels"
    assert recipe.objection((100, 100)) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomCrops(0),
        lambda: RandomCrops(48, (0.5, 4)),
        lambda: RandomCrops(48, (4, 1)),
        lambda: VariedSizes(64, (32, 256)),
        lambda: VariedSizes(32, (32, 512)),
    ],
)
def test_what_makes_no_sense_is_refused(make: object) -> None:
    with pytest.raises(InputError):
        make()
