"""The LightningDataModules of radiance fields: views of a scene, and which of their pixels an update sees.

A batch is {pixels: int64 [N], rgb: float32 [N, 3] in [0, 1], update: int}; pixels count view by view and row by row. Of
several processes each has its part. Rays are made of them on the device.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from datasets.endless import EndlessDataModule
from datasets.memory import available_memory, gigabytes
from datasets.sphere_scene import take_views
from datasets.transforms_scene import load_views
from datasets.views import Background, Views
from errors import InputError


class RadianceDataModule(EndlessDataModule):
    """Endless batches of pixels of one scene; a subclass says of which.

    Args:
        batch_size: Pixels per update, of all processes together; a multiple of their number.
        seed: Decides which.
        one_view: An update's pixels come from one view.

    Attributes:
        views: What is trained on; there after ``setup``.
        test_views: What is measured on.
    """

    views: Views
    test_views: Views

    def __init__(self, batch_size: int = 4096, seed: int = 0, one_view: bool = False) -> None:
        super().__init__()
        if batch_size < 1:
            raise InputError(f"data.batch_size: {batch_size}: give at least 1")
        self.batch_size, self.seed, self.one_view = batch_size, seed, one_view

    @abstractmethod
    def collect(self) -> tuple[Views, Views]:
        """Reads views to train on and to measure on; called once per process."""

    def setup(self, stage: str | None = None) -> None:
        if not hasattr(self, "views"):
            self.views, self.test_views = self.collect()

    def part(self, update: int, rank: int = 0, world_size: int = 1) -> dict[str, Any]:
        share = self.batch_size // world_size
        numbers = range(share * rank, share * (rank + 1))
        pixels = self.views.pixel_numbers((self.seed, update), numbers, self.one_view)
        return {"pixels": pixels, "rgb": self.views.colours(pixels), "update": update}

    @property
    def shared(self) -> tuple[str, int]:
        return "batch_size", self.batch_size

    @property
    def num_bytes(self) -> int:
        return self.views.num_bytes

    def move_to(self, device: torch.device) -> None:
        self.views = self.views.to(device)


class SphereScene(RadianceDataModule):
    """Shaded spheres whose pictures have a closed form: needs no file.

    Args:
        num_views: Views to train on.
        size: Height and width of a view in pixels.
        moving: The scene moves, and every view has a moment of its own.
        num_test_views: Views to measure on, from between the others.
        batch_size: Pixels per update, of all processes together; a multiple of their number.
        seed: Decides which.
        one_view: An update's pixels come from one view.
    """

    def __init__(
        self,
        num_views: int = 24,
        size: Sequence[int] = (40, 40),
        moving: bool = False,
        num_test_views: int = 8,
        batch_size: int = 512,
        seed: int = 0,
        one_view: bool = False,
    ) -> None:
        super().__init__(batch_size, seed, one_view)
        if len(size) != 2 or min(num_views, num_test_views, *size) < 1:
            raise InputError("data: num_views, num_test_views: give at least 1; size: give height and width")
        self.num_views, self.num_test_views = num_views, num_test_views
        self.size, self.moving = (size[0], size[1]), moving

    def collect(self) -> tuple[Views, Views]:
        # A few dozen numbers for each ray of the view that is traced, and what is kept of all, in float64 for a moment.
        needed = (512 + 80 * (self.num_views + self.num_test_views)) * math.prod(self.size)
        left = available_memory(torch.device("cpu"))
        if left is not None and needed > left:
            raise InputError(
                f"data: these views take {gigabytes(needed)}, {gigabytes(left)} are left: give fewer, or smaller ones"
            )
        trained = take_views(self.num_views, self.size, self.moving)
        return trained, take_views(self.num_test_views, self.size, self.moving, test=True)


class TransformsScene(RadianceDataModule):
    """A folder of pictures and cameras, as exported from Blender for NeRF and D-NeRF.

    It has transforms_train.json and transforms_test.json; or transforms.json alone, of which every eighth frame is
    held out. Where frames have times, the scene moves.

    Args:
        root: The folder.
        near: Distance at which the scene begins.
        far: Distance at which it ends.
        background: What fills the transparent parts of pictures: white or black.
        reduce: How many times smaller pictures get; a divisor of their sides.
        test_split: Which split is measured on: test or val.
        batch_size: Pixels per update, of all processes together; a multiple of their number.
        seed: Decides which.
        one_view: An update's pixels come from one view.
    """

    def __init__(
        self,
        root: str | Path,
        near: float = 2.0,
        far: float = 6.0,
        background: Background = "white",
        reduce: int = 1,
        test_split: str = "test",
        batch_size: int = 4096,
        seed: int = 0,
        one_view: bool = False,
    ) -> None:
        super().__init__(batch_size, seed, one_view)
        if not 0 <= near < far < math.inf:
            raise InputError(f"data.near, data.far: {near:g}, {far:g}: give distances, the first below the second")
        if reduce < 1:
            raise InputError(f"data.reduce: {reduce}: give 1, or how many times smaller pictures shall be")
        if test_split not in ("test", "val"):
            raise InputError(f"data.test_split: {test_split}: give test or val")
        self.root, self.near, self.far = Path(root).expanduser(), near, far
        self.background, self.reduce, self.test_split = background, reduce, test_split

    def collect(self) -> tuple[Views, Views]:
        alone = self.root / "transforms.json"
        if alone.is_file() and not (self.root / "transforms_train.json").is_file():
            return self._read(alone, lambda number: number % 8 != 0), self._read(alone, lambda number: number % 8 == 0)
        train, test = (self.root / f"transforms_{split}.json" for split in ("train", self.test_split))
        trained, tested = self._read(train), self._read(test)
        if (trained.times is None) != (tested.times is None) or trained.size != tested.size:
            raise InputError(f"{test}: has other sizes than {train.name}, or times where that has none: mend it")
        return trained, tested

    def _read(self, path: Path, which: Callable[[int], bool] = lambda number: True) -> Views:
        return load_views(path, self.near, self.far, self.background, self.reduce, which)
