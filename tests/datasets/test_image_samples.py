from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from einops import rearrange

from datasets.image_collections import MadeImages
from datasets.image_pairs import bicubic, whole_pair
from datasets.image_recipes import PairedCrops, RandomCrops, VariedSizes
from datasets.image_samples import PairSamples, ValidationPairs, planar
from errors import InputError

RECIPE = RandomCrops(8, (1, 3), flip=False)  # flips are tested where they are made


class Broken(MadeImages):
    """Some of whose images cannot be decoded."""

    broken: tuple[int, ...] = ()

    def read(self, index: int) -> np.ndarray:
        if index in self.broken:
            raise OSError("no image")
        return super().read(index)


class WithSmall(MadeImages):
    """With small versions, in which the small one is told from a reduction by its colours."""

    has_small = True

    def read_small(self, index: int) -> np.ndarray:
        height, width = self.size
        return 255 - bicubic(self.read(index), (height // 3, width // 3))


def samples(images: MadeImages | None = None, num_samples: int | None = 50, **more: object) -> PairSamples:
    images = images or MadeImages(range(4), (32, 40))
    settings = {"batch_size": 5, "seed": 3, **more}
    return PairSamples(images, range(len(images.sizes)), RECIPE, num_samples, **settings)


def test_a_sample_has_colours_where_its_pixels_are() -> None:
    whole, some = samples(num_samples=None)[7, 2], samples()[7, 2]
    assert whole["pixels"].tolist() == list(range(len(whole["rgb"])))
    assert torch.equal(whole["lr"], some["lr"]) and torch.equal(whole["size"], some["size"])
    assert some["rgb"].shape == (50, 3) and some["rgb"].dtype == torch.uint8
    assert torch.equal(whole["rgb"][some["pixels"]], some["rgb"])
    height, width = some["size"].tolist()
    large = rearrange(whole["rgb"], "(h w) c -> h w c", h=height, w=width).numpy()
    assert torch.equal(planar(bicubic(large, (8, 8))), some["lr"])


def test_a_sample_is_a_function_of_its_address() -> None:
    first, again = samples(), samples()
    again[3, 1]  # whatever was asked for before
    for address in [(0, 0), (9, 4), (10**6, 2)]:
        one, other = first[address], again[address]
        assert one.keys() == other.keys()
        assert all(torch.equal(torch.as_tensor(one[key]), torch.as_tensor(other[key])) for key in one)
    assert not torch.equal(first[0, 0]["rgb"], first[0, 1]["rgb"])
    assert not torch.equal(first[0, 0]["rgb"], samples(seed=4)[0, 0]["rgb"])


def test_every_sample_of_a_batch_has_its_own_scale() -> None:
    assert len({samples()[0, n]["size"][0].item() for n in range(8)}) > 4


def test_a_pass_shows_every_image_once_and_the_next_one_in_another_order() -> None:
    data = samples()
    passes = [[data.image_at(epoch * 12 + i) for i in range(12)] for epoch in range(3)]
    assert all(sorted(numbers) == list(range(12)) for numbers in passes)
    assert passes[0] != passes[1] != passes[2]


def test_only_usable_images_are_shown() -> None:
    images = MadeImages(range(4), (32, 40))
    data = PairSamples(images, [2, 5], RECIPE, 50, batch_size=5)
    assert {data.image_at(i) for i in range(20)} == {2, 5}


def test_an_image_that_cannot_be_read_is_replaced_by_the_next(caplog: pytest.LogCaptureFixture) -> None:
    images = Broken(range(4), (32, 40))
    data = samples(images)
    images.broken = (data.image_at(0),)
    with caplog.at_level(logging.WARNING):
        sample = data[0, 0]
    assert f"{images.names[data.image_at(0)]} cannot be read" in caplog.text
    images.broken = ()
    assert torch.equal(sample["lr"], replaced(data)["lr"])


def replaced(data: PairSamples) -> dict:
    """The sample (0, 0) of the image that comes second."""
    order = [data.image_at(1), data.image_at(0), *(data.image_at(i) for i in range(2, 12))]
    data.image_at = lambda position: order[position]
    return data[0, 0]


def test_images_none_of_which_can_be_read_end_it() -> None:
    images = Broken(range(4), (32, 40))
    images.broken = tuple(range(12))
    with pytest.raises(InputError, match="8 images in a row"):
        samples(images)[0, 0]


def test_paired_samples_take_the_small_images_from_files() -> None:
    images = WithSmall(range(2), (30, 30))
    data = PairSamples(images, range(6), PairedCrops(10, flip=False), None, batch_size=2)
    sample = data[0, 0]
    assert sample["size"].tolist() == [30, 30]
    assert torch.equal(sample["lr"], planar(images.read_small(data.image_at(0))))


def test_varied_sizes_go_by_the_number_of_the_image() -> None:
    images = MadeImages(range(3), (32, 32))
    data = PairSamples(images, range(9), VariedSizes(8, (8, 24), source=32), 64, batch_size=9)
    for n in range(9):
        assert data[0, n]["size"].tolist() == [8 + 2 * data.image_at(n)] * 2


def test_validation_pairs_are_whole_images_reduced() -> None:
    images = MadeImages(range(2), (30, 40))
    validation = ValidationPairs(images, [2, 3.5], RECIPE)
    for scale in (2, 3.5):
        assert validation.source(scale) == "bicubic"
        for number, pair in validation.pairs(scale, [4, 1]):
            expected = whole_pair(images.read(number), scale)
            assert all(np.array_equal(part, other) for part, other in zip(pair, expected, strict=True))
    assert [number for number, _ in validation.pairs(2, [4, 1])] == [4, 1]


def test_validation_pairs_from_files_where_there_are_some() -> None:
    images = WithSmall(range(2), (31, 40))
    validation = ValidationPairs(images, [2, 3], RECIPE, {3: images})
    assert (validation.source(2), validation.source(3)) == ("bicubic", "paired")
    ((_, (small, large)),) = validation.pairs(3, [0])
    assert np.array_equal(small, images.read_small(0)) and np.array_equal(large, images.read(0)[:30, :39])


def test_validation_that_cannot_be_is_refused() -> None:
    images = WithSmall(range(2), (30, 40))
    with pytest.raises(InputError, match=r"scale 4 is none of validation\.scales"):
        ValidationPairs(images, [2, 3], RECIPE, {4: images})
    with pytest.raises(InputError, match="no small version of text_0 at scale 2"):
        list(ValidationPairs(images, [2], RECIPE, {2: images}).pairs(2, [0]))
    for scales, number in [([], 1), ([0.5], 1), ([2], 0)]:
        with pytest.raises(InputError, match="validation"):
            ValidationPairs(images, scales, RECIPE, num_while_training=number)
