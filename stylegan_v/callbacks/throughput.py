"""How fast a run is and what it waits for, as curves."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from stylegan_v.callbacks.counters import Counters, check_interval

_GIB = 2**30


class Throughput(Callback):
    """Clips and frames, or images, and updates per second, the share of time spent waiting for data, and memory.

    Stands after the callbacks that work between two batches, or their time counts as waiting for data.

    Args:
        every_updates: Updates between two points of the curves.
    """

    def __init__(self, every_updates: int = 50) -> None:
        check_interval("throughput.every_updates", every_updates)
        self.every_updates = every_updates
        self._since, self._from = 0.0, Counters(0, 0, 0, None)
        self._idle_since = self._waited = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restart(Counters.of(trainer, pl_module))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._waited += time.monotonic() - self._idle_since

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        counters = Counters.of(trainer, pl_module)
        if counters.updates % self.every_updates == 0 and counters.updates > self._from.updates:
            seconds = time.monotonic() - self._since
            values = rates(self._from, counters, seconds, self._waited) | memory(trainer.strategy.root_device)
            for logger in trainer.loggers:
                logger.log_metrics(values, step=counters.updates)
            self._restart(counters)
        self._idle_since = time.monotonic()

    def _restart(self, counters: Counters) -> None:
        self._since = self._idle_since = time.monotonic()
        self._from, self._waited = counters, 0.0


def rates(earlier: Counters, now: Counters, seconds: float, waited: float) -> dict[str, float]:
    """What was done per second.

    Args:
        earlier: Where the run was.
        now: Where it is.
        seconds: Time between the two.
        waited: How much of it this process waited for data.
    """
    done = {"updates": now.updates - earlier.updates}
    if now.clips:
        done |= {"clips": now.clips - earlier.clips, "frames": now.frames - earlier.frames}
    if now.images:
        done["images"] = now.images - earlier.images
    values = {f"throughput/{name}_per_second": count / seconds for name, count in done.items()}
    return values | {"throughput/data_wait_share": min(1.0, waited / seconds)}


def memory(device: torch.device) -> dict[str, float]:
    """Memory of this process, GiB: resident now, and on a CUDA device the most that was allocated so far."""
    values = {"memory/process_gib": _resident_bytes() / _GIB}
    if device.type == "cuda":
        values["memory/cuda_max_gib"] = torch.cuda.max_memory_allocated(device) / _GIB
    return values


def _resident_bytes() -> int:
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource  # no such file outside Linux: the largest size so far, which macOS gives in bytes, others in KiB

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024
