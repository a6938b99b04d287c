"""The checkpoint whose score was the best so far."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.utilities.rank_zero import rank_zero_info

from errors import InputError
from stylegan_v.callbacks.checkpointing import write_state
from stylegan_v.checkpoints import BEST, replacing

_MAX_BYTES = 1_000_000
# Values that differ in one of these measure different things.
_COMPARABLE = ("protocol", "protocol_hash", "detector_hash", "manifest_hash", "part")


class BestCheckpoint:
    """``best.ckpt``, ``best.safetensors`` and ``best.json`` of a run folder: a state, its generator, its score.

    A score is known only long after the state that it belongs to is gone. So that state is written at once, under names
    that a later start removes, and these files become the best ones or go, once the score is there.

    Args:
        folder: Of the run.
        monitor: Name of the protocol.
        lower_is_better: Whether smaller values of it are better.

    Raises:
        InputError: The record of an earlier start is damaged.
    """

    def __init__(self, folder: Path, monitor: str, *, lower_is_better: bool) -> None:
        self.monitor, self.lower_is_better = monitor, lower_is_better
        self.checkpoint, self.record = folder / BEST, folder / "best.json"
        self.light = self.checkpoint.with_suffix(".safetensors")
        self.best = read_record(self.record)

    def write_candidate(self, trainer: Trainer, module: LightningModule) -> None:
        """Writes the state as it is now; to be called on all ranks."""
        write_state(trainer, module, *map(_candidate, (self.checkpoint, self.light)))

    def settle(self, record: Mapping[str, Any]) -> bool:
        """Makes the candidate the best checkpoint, if its score says so.

        Args:
            record: Of the score that is monitored.

        Returns:
            Whether it is.
        """
        if not self._is_better(record):
            self.drop_candidate()
            return False
        for path in (self.checkpoint, self.light):
            if _candidate(path).exists():  # a module that names no weights for use has no light file
                os.replace(_candidate(path), path)
        with replacing(self.record) as file:
            file.write(json.dumps(record, indent=1).encode())
        self.best = dict(record)
        rank_zero_info(f"{self.checkpoint}: the best {self.monitor} so far, of update {record['updates']}")
        return True

    def drop_candidate(self) -> None:
        """Removes the candidate, if there is one."""
        for path in (self.checkpoint, self.light):
            _candidate(path).unlink(missing_ok=True)

    def _is_better(self, record: Mapping[str, Any]) -> bool:
        if not math.isfinite(record["value"]):
            return False
        if self.best is None:
            return True
        if changed := [name for name in _COMPARABLE if self.best.get(name) != record.get(name)]:
            said = f"measured otherwise (another {', '.join(changed)}): it is replaced"
            rank_zero_info(f"{self.record}: the best checkpoint so far was {said}")
            return True
        sign = 1 if self.lower_is_better else -1
        return sign * record["value"] < sign * self.best["value"]


def read_record(path: Path) -> dict[str, Any] | None:
    """The record of the best checkpoint; None where there is none.

    Raises:
        InputError: It cannot be read.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            record = json.loads(file.read(_MAX_BYTES))
        float(record["value"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{path}: is damaged: remove it, and the next score begins anew") from error
    return record


def _candidate(path: Path) -> Path:
    """Where a state waits for its score: a name that `checkpoints.remove_stale` knows."""
    return path.with_name(f".{path.name}.candidate.tmp")
