"""What data modules of fits share: endless batches that are functions of their number.

So a run that continues sees what it would have seen, and several processes see what one would. Batches come into being
on the device where the material fits there, else on a thread of the host that is one ahead.
"""

from __future__ import annotations

import torchvision_guard  # noqa: F401  (before Lightning, which imports torchvision)

# isort: split
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from datasets.memory import available_memory
from errors import InputError

_SHARE = 0.25  # of a device's free memory that the material may take


class EndlessDataModule(LightningDataModule):
    """Batches without an end; a subclass says of what.

    Attributes:
        start_update: The update whose batch comes first; saved with the run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.start_update = 0

    @abstractmethod
    def part(self, update: int, rank: int = 0, world_size: int = 1) -> dict[str, Any]:
        """What one process sees of an update.

        Args:
            update: Which.
            rank: Of the process.
            world_size: Processes.
        """

    @property
    @abstractmethod
    def shared(self) -> tuple[str, int]:
        """The name of the argument that says how much an update sees, of all processes together, and how much."""

    @property
    @abstractmethod
    def num_bytes(self) -> int:
        """Memory that the material takes."""

    @abstractmethod
    def move_to(self, device: torch.device) -> None:
        """Brings the material to a device."""

    def train_dataloader(self) -> Batches:
        trainer = self.trainer
        rank, world_size = (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)
        name, total = self.shared
        if total % world_size:
            raise InputError(
                f"data.{name}: {total} cannot be shared equally by {world_size} processes: give a multiple"
            )
        device = torch.device("cpu") if trainer is None else trainer.strategy.root_device
        fits = self._fits(device)
        if fits:
            self.move_to(device)
        return Batches(self, rank, world_size, ahead=not fits)

    def _fits(self, device: torch.device) -> bool:
        available = available_memory(device)
        return device.type == "cpu" or (available is not None and self.num_bytes <= _SHARE * available)

    # What Lightning's loops for `validate` and `test` run over: one empty batch. What is measured is up to the module.

    def val_dataloader(self) -> Iterable[int]:
        return range(1)

    def test_dataloader(self) -> Iterable[int]:
        return range(1)

    def on_before_batch_transfer(self, batch: dict[str, Any] | int, dataloader_idx: int) -> dict[str, Any] | int:
        # The position moves with the batches that are used, not with those that were fetched ahead.
        if self.trainer is not None and self.trainer.training:
            self.start_update = batch["update"] + 1
        return batch

    def state_dict(self) -> dict[str, Any]:
        return {"update": self.start_update}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.start_update = int(state_dict["update"])


class Batches:
    """The batches of all updates from where the data stand.

    Args:
        data: Where they come from.
        rank: Of this process.
        world_size: Processes.
        ahead: Make the next one on a thread, in memory that is copied to a device quickly.
    """

    def __init__(self, data: EndlessDataModule, rank: int, world_size: int, ahead: bool) -> None:
        self.data, self.rank, self.world_size, self.ahead = data, rank, world_size, ahead

    def __iter__(self) -> Iterator[dict[str, Any]]:
        updates = count(self.data.start_update)
        if not self.ahead:
            yield from map(self._part, updates)
            return
        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(self._pinned, next(updates))
            for update in updates:
                ready, coming = coming, thread.submit(self._pinned, update)
                yield ready.result()

    def _part(self, update: int) -> dict[str, Any]:
        return self.data.part(update, self.rank, self.world_size)

    def _pinned(self, update: int) -> dict[str, Any]:
        part = self._part(update)
        if not torch.cuda.is_available():
            return part
        return {name: value.pin_memory() if isinstance(value, Tensor) else value for name, value in part.items()}
