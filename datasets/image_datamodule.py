"""The LightningDataModules of super-resolution: where its samples come from, and what it is measured on.

A batch is {lr: uint8 [B, 3, h, w], rgb: uint8 [B, Q, 3], pixels: int64 [B, Q], size: int64 [B, 2], n: int64 [B],
update: int64 [B]}, with B the samples of this rank; see `datasets.image_samples`.
"""

from __future__ import annotations

import torchvision_guard  # noqa: F401  (before Lightning, which imports torchvision)

# isort: split
import logging
import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from datasets.clips import ClipSampler
from datasets.datamodule import ClipLoader
from datasets.image_collections import ImageCollection, ImageFiles, MadeImages
from datasets.image_recipes import RandomCrops, Recipe
from datasets.image_samples import PairSamples, ValidationPairs
from datasets.synthetic_images import FAMILIES, HELD_OUT
from errors import InputError

_log = logging.getLogger(__name__)
_PATIENCE = 600.0  # seconds; a worker that gives nothing for so long hangs
SCALES = (2.0, 3.0, 4.0, 6.0, 12.0, 18.0, 24.0, 30.0)


@dataclass(frozen=True)
class ValidationFolder:
    """Images that super-resolution is measured on.

    Args:
        root: A folder or zip of images.
        scales: How many times smaller the small ones are.
        lr_roots: By scale, a folder or zip of small images to be taken instead of reducing the large ones.
        num_while_training: How many images are looked at while training goes on; at its end all are.
    """

    root: str
    scales: tuple[float, ...] = SCALES
    lr_roots: dict[float, str] | None = None
    num_while_training: int = 10


class PairDataModule(LightningDataModule):
    """Endless samples of a collection of images; a subclass says of which.

    Args:
        recipe: What a pair of a small and a large image is.
        num_samples: Pixels of the large image in a sample; None: all of them, in which case all must have one size.
        batch_size: Samples per update, of all ranks together; a multiple of their number.
        num_workers: Processes that read and reduce images, at most one per CPU core; 0: the training process does it.
        prefetch_factor: Batches that each worker prepares ahead.
        seed: Decides order of the images, scales, crops, flips and pixels.

    Attributes:
        images: The collection; there after ``setup``.
        usable: Numbers of the images that the recipe can use; likewise.
        validation_pairs: What is measured on, if anything; likewise.
        start_update: The update whose samples come first; saved with the run as the position in the data.
    """

    images: ImageCollection
    usable: list[int]

    def __init__(
        self,
        recipe: Recipe | None = None,
        num_samples: int | None = 2304,
        batch_size: int = 16,
        num_workers: int = 3,
        prefetch_factor: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1 or (num_samples is not None and num_samples < 1):
            raise InputError(f"batch_size, num_samples: {batch_size} of {num_samples}; give at least 1 of each")
        self.recipe, self.num_samples, self.batch_size = recipe or RandomCrops(), num_samples, batch_size
        self.num_workers, self.prefetch_factor, self.seed = num_workers, prefetch_factor, seed
        self.sampler = ClipSampler(batch_size)
        self.validation_pairs: ValidationPairs | None = None

    @abstractmethod
    def collect(self) -> ImageCollection:
        """Finds the images to train on; called once per process."""

    @abstractmethod
    def collect_validation(self) -> ValidationPairs | None:
        """Finds the images to measure on, if there are any; called once per process."""

    @property
    def start_update(self) -> int:
        return self.sampler.start

    @start_update.setter
    def start_update(self, update: int) -> None:
        self.sampler.start = update

    def setup(self, stage: str | None = None) -> None:
        if stage not in ("validate", "test") and not hasattr(self, "images"):
            images = self.collect()
            self.usable = self._usable(images)
            self.images = images
        if self.validation_pairs is None:
            self.validation_pairs = self.collect_validation()
        if self.trainer is not None:
            self.sampler.rank, self.sampler.world_size = self.trainer.global_rank, self.trainer.world_size
        if self.batch_size % self.sampler.world_size:
            raise InputError(
                f"batch_size: {self.batch_size} samples cannot be shared equally by {self.sampler.world_size} "
                "processes; give a multiple of their number"
            )

    def _usable(self, images: ImageCollection) -> list[int]:
        """Numbers of the images that the recipe can use; says which it cannot, and which it can use only in part."""
        if self.recipe.needs_small and not images.has_small:
            raise InputError(f"lr_root: {type(self.recipe).__name__} needs small images from files; give their folder")
        objections = [self.recipe.objection(size) for size in images.sizes]
        usable = [number for number, objection in enumerate(objections) if objection is None]
        unusable = [f"{images.names[i]}: {objection}" for i, objection in enumerate(objections) if objection]
        if not usable:
            raise InputError(f"data: none of {len(objections)} images can be used, such as {unusable[0]}")
        if unusable:
            _log.warning("%d images are left out, such as %s", len(unusable), unusable[0])
        if isinstance(self.recipe, RandomCrops):
            limited = sum(self.recipe.largest_scale(images.sizes[i]) < self.recipe.scales[1] for i in usable)
            if limited:
                _log.warning("%d images are too small for the largest scale: theirs end where they do", limited)
        return usable

    def samples(self) -> PairSamples:
        """The samples by address (update, n)."""
        settings = {"batch_size": self.batch_size, "seed": self.seed}
        return PairSamples(self.images, self.usable, self.recipe, self.num_samples, **settings)

    def train_dataloader(self) -> ClipLoader:
        # As for clips: more workers than cores only wait for each other, and the iteration has no end.
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        num_workers = min(self.num_workers, cores)
        workers: dict[str, Any] = {}
        if num_workers:
            workers = {"prefetch_factor": self.prefetch_factor, "timeout": _PATIENCE}
        return ClipLoader(
            DataLoader(
                self.samples(),
                batch_sampler=self.sampler,
                num_workers=num_workers,
                pin_memory=torch.cuda.is_available(),
                **workers,
            )
        )

    # What Lightning's loops for `validate` and `test` run over: one empty batch. What is measured is up to the module.

    def val_dataloader(self) -> Iterable[int]:
        return range(1)

    def test_dataloader(self) -> Iterable[int]:
        return range(1)

    def on_before_batch_transfer(self, batch: dict[str, Any] | int, dataloader_idx: int) -> dict[str, Any] | int:
        # The position moves with the batches that are used, not with those that were fetched ahead.
        if self.trainer is not None and self.trainer.training:
            self.start_update = int(batch["update"][0]) + 1
        return batch

    def state_dict(self) -> dict[str, Any]:
        return {"update": self.start_update}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.start_update = int(state_dict["update"])


class ImagePairs(PairDataModule):
    """Samples of the images below a folder, or inside a zip.

    Args:
        root: The folder or zip; images at any depth are found.
        recipe: What a pair is; None: `RandomCrops` with its defaults, which are LIIF's.
        num_samples: Pixels of the large image in a sample; None: all of them, in which case all must have one size.
        lr_root: Folder or zip of small versions of the images, for a recipe that takes them from files.
        validation: What is measured on; None: nothing.
        batch_size: Samples per update, of all ranks together; a multiple of their number.
        num_workers: Processes that read and reduce images, at most one per CPU core; 0: the training process does it.
        prefetch_factor: Batches that each worker prepares ahead.
        seed: Decides order of the images, scales, crops, flips and pixels.
        cache_dir: Where the scan is remembered; None: stylegan_v in $XDG_CACHE_HOME or ~/.cache.
        decoded_dir: Where decoded images are kept (3 bytes per pixel: 7 GB of DIV2K), which saves decoding each again
            for every crop; None: nowhere.
    """

    def __init__(
        self,
        root: str | Path,
        recipe: Recipe | None = None,
        num_samples: int | None = 2304,
        lr_root: str | Path | None = None,
        validation: ValidationFolder | None = None,
        batch_size: int = 16,
        num_workers: int = 3,
        prefetch_factor: int = 2,
        seed: int = 0,
        cache_dir: str | Path | None = None,
        decoded_dir: str | Path | None = None,
    ) -> None:
        super().__init__(recipe, num_samples, batch_size, num_workers, prefetch_factor, seed)
        self.root, self.lr_root, self.validation = root, lr_root, validation
        self.cache_dir, self.decoded_dir = cache_dir, decoded_dir

    def collect(self) -> ImageFiles:
        return self._below(self.root, self.lr_root, decoded_dir=self.decoded_dir)

    def collect_validation(self) -> ValidationPairs | None:
        if self.validation is None:
            return None
        where = self.validation
        small = {float(scale): self._below(where.root, path) for scale, path in (where.lr_roots or {}).items()}
        return ValidationPairs(self._below(where.root), where.scales, self.recipe, small, where.num_while_training)

    def _below(self, root: str | Path, lr_root: str | Path | None = None, **more: Any) -> ImageFiles:
        progress = self.trainer is None or self.trainer.is_global_zero
        return ImageFiles.below(root, lr_root, cache_dir=self.cache_dir, progress=progress, **more)


class SyntheticImagePairs(PairDataModule):
    """Samples of images made on the fly, measured on the held-out ones of each family.

    Args:
        num_seeds: Of each family, the seeds from 0 on that are trained on; those held out are beyond them.
        size: Height and width of the images in pixels.
        recipe: What a pair is; None: `RandomCrops` with its defaults, which are LIIF's.
        num_samples: Pixels of the large image in a sample; None: all of them, in which case all must have one size.
        scales: Scales that are measured.
        families: Of `datasets.synthetic_images`.
        num_while_training: How many held-out images are looked at while training goes on; at its end all are.
        batch_size: Samples per update, of all ranks together; a multiple of their number.
        num_workers: Processes that make images, at most one per CPU core; 0: the training process does it.
        prefetch_factor: Batches that each worker prepares ahead.
        seed: Decides order of the images, scales, crops, flips and pixels.
    """

    def __init__(
        self,
        num_seeds: int,
        size: tuple[int, int],
        recipe: Recipe | None = None,
        num_samples: int | None = 2304,
        scales: tuple[float, ...] = (2.0, 3.0, 4.0, 6.0),
        families: Sequence[str] = tuple(FAMILIES),
        num_while_training: int = 12,
        batch_size: int = 16,
        num_workers: int = 3,
        prefetch_factor: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__(recipe, num_samples, batch_size, num_workers, prefetch_factor, seed)
        if not 1 <= num_seeds <= min(HELD_OUT):
            raise InputError(
                f"num_seeds: {num_seeds} is not between 1 and {min(HELD_OUT)}, where the held-out ones begin"
            )
        self.num_seeds, self.size, self.scales, self.families = num_seeds, tuple(size), scales, tuple(families)
        self.num_while_training = num_while_training

    def collect(self) -> MadeImages:
        return MadeImages(range(self.num_seeds), self.size, self.families)

    def collect_validation(self) -> ValidationPairs:
        images = MadeImages(HELD_OUT, self.size, self.families)
        return ValidationPairs(images, self.scales, self.recipe, num_while_training=self.num_while_training)
