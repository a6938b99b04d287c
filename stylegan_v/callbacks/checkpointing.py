"""Checkpoints by the module's own count of updates: the newest under one name, older ones now and then.

Beside each lies a light file, for use and for sharing: the networks that the module names, without what trains them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.exceptions import SIGTERMException
from pytorch_lightning.utilities.rank_zero import rank_zero_info
from torch import nn

from stylegan_v.callbacks.counters import Counters, check_interval
from stylegan_v.checkpoints import LAST
from stylegan_v.weights import GENERATOR, write_weights


@runtime_checkable
class HasWeightsForUse(Protocol):
    """A module some of whose networks are of use without the rest of training."""

    def weights_for_use(self) -> tuple[Mapping[str, nn.Module], Mapping[str, Any]]:
        """These networks by name, and what is known of them in plain values."""


class Checkpointing(Callback):
    """Keeps ``last.ckpt`` of the run folder up to date: every so many updates, at the end, and when asked to stop.

    ``generator.safetensors`` beside it holds what `HasWeightsForUse` of the module names, of the same update; a
    checkpoint that is kept for good has a light file of its own name (``kimg002000.064.safetensors``).

    Args:
        every_updates: Updates between two checkpoints.
        keep_every_kimg: Thousands of frames between two checkpoints that are kept for good, under their own names
            (``kimg002000.064.ckpt``); None keeps only the last.
    """

    def __init__(self, every_updates: int = 500, keep_every_kimg: float | None = None) -> None:
        check_interval("checkpointing.every_updates", every_updates)
        self.every_updates, self.keep_every_kimg = every_updates, keep_every_kimg
        self._saved_at: int | None = None
        self._kept = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        counters = Counters.of(trainer, pl_module)
        self._saved_at, self._kept = counters.updates, self._due(counters)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        counters = Counters.of(trainer, pl_module)
        if counters.updates % self.every_updates == 0:
            self._save(trainer, pl_module, counters)
        if self._due(counters) > self._kept:
            self._kept = self._due(counters)
            self._write(trainer, pl_module, f"kimg{counters.frames / 1000:010.3f}.ckpt")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer, pl_module, Counters.of(trainer, pl_module))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        # Lightning raises this one between two updates; after any other the state may be half an update old.
        if isinstance(exception, SIGTERMException):
            self._save(trainer, pl_module, Counters.of(trainer, pl_module))

    def _due(self, counters: Counters) -> int:
        """How many checkpoints should have been kept by now."""
        return int(counters.frames // (1000 * self.keep_every_kimg)) if self.keep_every_kimg else 0

    def _save(self, trainer: Trainer, module: LightningModule, counters: Counters) -> None:
        if counters.updates != self._saved_at:
            self._write(trainer, module, LAST)
            self._saved_at = counters.updates

    def _write(self, trainer: Trainer, module: LightningModule, name: str) -> None:
        if trainer.fast_dev_run:
            return
        path = Path(trainer.default_root_dir) / name
        write_state(
            trainer, module, path, path.with_name(GENERATOR) if name == LAST else path.with_suffix(".safetensors")
        )
        rank_zero_info(f"saved {path}")


def write_state(trainer: Trainer, module: LightningModule, checkpoint: Path, light: Path) -> None:
    """Writes the state of a run, and what is of use of it; to be called on all ranks.

    Args:
        trainer: Of the run.
        module: In training.
        checkpoint: Where all of it goes.
        light: Where the networks go that the module names for use; not written where it names none.
    """
    trainer.save_checkpoint(checkpoint, weights_only=False)  # with the state of the optimisers
    if isinstance(module, HasWeightsForUse) and trainer.is_global_zero:
        networks, facts = module.weights_for_use()
        write_weights(light, {name: network.state_dict() for name, network in networks.items()}, facts)
