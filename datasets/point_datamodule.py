"""The LightningDataModules of fits to points: one picture, or samples of a function, and what an update sees of them.

A batch is {positions: float32 [n, D], values: float32 [n, C], update: int}: all points that are trained on, or as many
of them at random as are asked for. Of several processes each has its part.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datasets.endless import EndlessDataModule
from datasets.point_signal import PointSignal, check_memory, of_picture, of_samples, read_picture
from datasets.signal1d import read_samples, sum_of_sines
from datasets.single_signal import draws
from datasets.synthetic import waves_checker_disc
from errors import InputError


class PointDataModule(EndlessDataModule):
    """Endless batches of one signal; a subclass says of which.

    Args:
        batch_size: Points per update, of all processes together, drawn with repetition; None: all of them, always.
        seed: Decides which.

    Attributes:
        signal: The points; there after ``setup``.
    """

    signal: PointSignal

    def __init__(self, batch_size: int | None = None, seed: int = 0) -> None:
        super().__init__()
        if batch_size is not None and batch_size < 1:
            raise InputError(f"data.batch_size {batch_size}: give at least 1, or null for all points")
        self.batch_size, self.seed = batch_size, seed
        self._all: dict[str, Tensor] | None = None

    @abstractmethod
    def collect(self) -> PointSignal:
        """Reads the signal; called once per process."""

    def setup(self, stage: str | None = None) -> None:
        if not hasattr(self, "signal"):
            self.signal = self.collect()

    def trained(self) -> dict[str, Tensor]:
        """The points that are trained on."""
        if self._all is None:
            signal = self.signal
            self._all = {"positions": signal.positions[signal.trained], "values": signal.values[signal.trained]}
        return self._all

    def part(self, update: int, rank: int = 0, world_size: int = 1) -> dict[str, Any]:
        points = self.trained()
        share = self.shared[1] // world_size
        if self.batch_size is None:
            part = slice(share * rank, share * (rank + 1))
            return {name: values[part] for name, values in points.items()} | {"update": update}
        numbers = torch.arange(share * rank, share * (rank + 1), device=points["values"].device)
        chosen = draws((self.seed, update), numbers) % len(points["values"])
        return {name: values[chosen] for name, values in points.items()} | {"update": update}

    @property
    def shared(self) -> tuple[str, int]:
        return "batch_size", self.batch_size or len(self.trained()["values"])

    @property
    def num_bytes(self) -> int:
        return sum(values.numel() * values.element_size() for values in self.trained().values())

    def move_to(self, device: torch.device) -> None:
        self.signal.to(device)
        self._all = None


class SampledSignal(PointDataModule):
    """Samples of a function of one variable, from a file.

    Args:
        path: A .npz with two arrays, or a .csv with two columns.
        x: Name of the array or column of places.
        y: Name of that of values.
        batch_size: Points per update, of all processes together, drawn with repetition; None: all of them, always.
        seed: Decides which.
    """

    def __init__(
        self, path: str | Path, x: str = "x", y: str = "y", batch_size: int | None = None, seed: int = 0
    ) -> None:
        super().__init__(batch_size, seed)
        self.path, self.x, self.y = path, x, y

    def collect(self) -> PointSignal:
        return of_samples(*read_samples(self.path, self.x, self.y), str(self.path))


class SumOfSines(PointDataModule):
    """Ten sines of 5 to 50 periods and random phases, on [0, 1]: needs no file.

    Args:
        signal_seed: Decides the phases.
        num_points: Evenly spread.
        batch_size: Points per update, of all processes together, drawn with repetition; None: all of them, always.
        seed: Decides which.
    """

    def __init__(
        self, signal_seed: int = 0, num_points: int = 200, batch_size: int | None = None, seed: int = 0
    ) -> None:
        super().__init__(batch_size, seed)
        self.signal_seed, self.num_points = signal_seed, num_points

    def collect(self) -> PointSignal:
        check_memory("sum of sines", (self.num_points,), "a smaller data.num_points")
        return of_samples(*sum_of_sines(self.signal_seed, self.num_points), "sum of sines")


class Picture(PointDataModule):
    """An image file.

    Args:
        path: The file.
        every: Each so many-th pixel of each so many-th row is trained on: 1 is regression, 2 generalisation. All are
            measured.
        size: Height and width that it is brought to; None: its own.
        batch_size: Pixels per update, of all processes together, drawn with repetition; None: all of them, always.
        seed: Decides which.
    """

    def __init__(
        self,
        path: str | Path,
        every: int = 1,
        size: Sequence[int] | None = None,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, seed)
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise InputError(f"data.size {list(size)}: give height and width")
        self.path, self.every, self.size = path, every, size

    def collect(self) -> PointSignal:
        return of_picture(read_picture(self.path, self.size), str(self.path), self.every)


class SyntheticPicture(PointDataModule):
    """Waves, a chequered ground and a disc: the picture that fields are compared on without any file.

    Args:
        size: Height and width in pixels.
        every: As for `Picture`.
        batch_size: Pixels per update, of all processes together, drawn with repetition; None: all of them, always.
        seed: Decides which.
    """

    def __init__(
        self, size: Sequence[int] = (64, 64), every: int = 1, batch_size: int | None = None, seed: int = 0
    ) -> None:
        super().__init__(batch_size, seed)
        if len(size) != 2:
            raise InputError(f"data.size {list(size)}: give height and width")
        self.size, self.every = (int(size[0]), int(size[1])), every

    def collect(self) -> PointSignal:
        check_memory("synthetic picture", self.size, "a smaller data.size")
        return of_picture(waves_checker_disc(self.size), "synthetic picture", self.every)
