"""Samples for super-resolution: a small image, and some pixels of the large one that belongs to it.

Everything random about a sample is a function of its address, which is the seed of the run, the number of the update
and the sample's number n in the global batch: any rank, worker or resumed run that asks for it gets the same sample.
Coordinates are no business of this file: a pixel is a number, counted row by row, of an image of a size.

Shape legend
    h, w    height and width of the small image
    Q       pixels of the large image that are looked at
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import Dataset

from datasets.image_collections import ImageCollection
from datasets.image_pairs import Pair, integer_scale, paired_whole, pixel_samples
from datasets.image_recipes import Recipe
from errors import InputError

_log = logging.getLogger(__name__)
_MASK = 0xFFFFFFFF
_ORDER, _DATA = zlib.crc32(b"image order"), zlib.crc32(b"image data")
_MAX_FAILURES = 8  # images that may fail in a row before training stops


class PairSamples(Dataset):
    """Samples addressed by (update, n), not by the number of an image.

    The images are gone through in a random order, a new one for every pass, one image per sample. An image that cannot
    be read is logged and the next one in that order takes its place.

    Args:
        images: Where the samples come from.
        usable: Numbers of those that the recipe can use.
        recipe: What a pair is.
        num_samples: Q; None: all pixels of the large image, row by row.
        batch_size: Samples of the global batch, that is of all ranks.
        seed: Of the run.
    """

    def __init__(
        self,
        images: ImageCollection,
        usable: Sequence[int],
        recipe: Recipe,
        num_samples: int | None,
        *,
        batch_size: int,
        seed: int = 0,
    ) -> None:
        self.images, self.usable, self.recipe = images, usable, recipe
        self.num_samples, self.batch_size, self.seed = num_samples, batch_size, seed & _MASK

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        """The sample.

        Returns:
            lr: uint8 [3, h, w]; rgb: uint8 [Q, 3], colours of pixels of the large image; pixels: int64 [Q], their
            numbers in it; size: int64 [2], its height and width; n; update.
        """
        update, n = key
        rng = np.random.default_rng([self.seed, update, n, _DATA])
        small, large = self._pair(update * self.batch_size + n, rng)
        count = large.shape[0] * large.shape[1]
        pixels = np.arange(count) if self.num_samples is None else pixel_samples(large, self.num_samples, rng)
        rgb = rearrange(large, "h w c -> (h w) c")[pixels]
        return {
            "lr": planar(small),
            "rgb": torch.from_numpy(rgb),
            "pixels": torch.from_numpy(pixels),
            "size": torch.tensor(large.shape[:2]),
            "n": n,
            "update": update,
        }

    def image_at(self, position: int) -> int:
        """Which image the sample at ``position`` of the endless sequence of samples shows."""
        epoch, place = divmod(position, len(self.usable))
        return self.usable[_order(self.seed, epoch, len(self.usable))[place]]

    def _pair(self, position: int, rng: np.random.Generator) -> Pair:
        for attempt in range(_MAX_FAILURES):
            item = self.image_at(position + attempt)
            try:
                image, small = self.images.read(item), self.images.read_small(item)
            except OSError as error:
                _log.warning("%s cannot be read and is replaced by the next image: %s", self.images.names[item], error)
                last = error
                continue
            return self.recipe.pair(image, small, item, len(self.images.sizes), rng)
        raise InputError(f"{_MAX_FAILURES} images in a row cannot be read, the last one because of: {last}") from last


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> list[int]:
    return np.random.default_rng([seed, epoch, _ORDER]).permutation(count).tolist()


def planar(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[Tensor, "3 h w"]:
    """An image as a tensor, channels first."""
    return torch.from_numpy(rearrange(image, "h w c -> c h w").copy())


class ValidationPairs:
    """Whole images that super-resolution is measured on, at several scales.

    Args:
        images: The large ones, or what the recipe makes them of.
        scales: How many times smaller the small ones are.
        recipe: What a pair is, where no file says so.
        small: By scale, the same images with small versions from files.
        num_while_training: How many images are looked at while training goes on; at its end all are.
    """

    def __init__(
        self,
        images: ImageCollection,
        scales: Sequence[float],
        recipe: Recipe,
        small: Mapping[float, ImageCollection] | None = None,
        num_while_training: int = 10,
    ) -> None:
        self.images, self.scales, self.recipe, self.small = images, tuple(scales), recipe, dict(small or {})
        self.num_while_training = num_while_training
        if not scales or min(scales) < 1 or num_while_training < 1:
            raise InputError(
                f"validation: scales {list(scales)} of {num_while_training} images; give 1 or more of each"
            )
        unasked = [scale for scale in self.small if scale not in self.scales]
        if unasked:
            raise InputError(f"validation.lr_roots: scale {unasked[0]:g} is none of validation.scales")

    @property
    def names(self) -> list[str]:
        """What the images are called."""
        return self.images.names

    def source(self, scale: float) -> str:
        """Where the small images come from: "paired" files, or "bicubic" reduction."""
        return "paired" if scale in self.small else "bicubic"

    def pairs(self, scale: float, numbers: Sequence[int]) -> Iterator[tuple[int, Pair]]:
        """The numbers of images, each with its pair, small one first.

        Raises:
            InputError: An image is too small for the scale, or does not fit its small version.
            OSError: It cannot be decoded.
        """
        for number in numbers:
            if scale not in self.small:
                yield number, self.recipe.whole(self.images.read(number), scale)
                continue
            collection, name = self.small[scale], self.names[number]
            small, large = collection.read_small(number), collection.read(number)
            if small is None or integer_scale(small.shape[:2], large.shape[:2], name) != scale:
                raise InputError(f"validation.lr_roots: no small version of {name} at scale {scale:g}")
            yield number, paired_whole(small, large, name)
