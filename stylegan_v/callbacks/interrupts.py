"""Ctrl-C: the first one ends a run between two updates, the second one at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

_FIRST = b"\nInterrupted: finishing this update and saving; Ctrl-C again stops at once, without saving.\n"


class GracefulStop(Callback):
    """Turns the first SIGINT into a stop after the current update, on all ranks; the second acts as it always does.

    Attributes:
        stopped: Whether the run ended because of it.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._armed = self._requested = False
        self._process: int | None = None
        self._previous: Any = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Before the data loader forks its workers: they inherit the handler, and with it live to the end of the update.
        if threading.current_thread() is threading.main_thread():
            self._process, self._armed = os.getpid(), True
            self._previous = signal.signal(signal.SIGINT, self._handle)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.stop_if_requested(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.stop_if_requested(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._restore()

    def stop_if_requested(self, trainer: Trainer) -> bool:
        """Ends training if some rank got the signal, and says whether; to be called on all ranks."""
        # All ranks must leave the loop after the same update, whichever of them got the signal first.
        if trainer.strategy.reduce_boolean_decision(self._requested, all=False):
            self.stopped = trainer.should_stop = True
        return self.stopped

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # a loader worker: the process that trains decides when it ends
        if self._armed:
            self._armed, self._requested = False, True
            os.write(2, _FIRST)  # print() must not be entered a second time from a signal
        elif callable(self._previous):
            self._previous(signum, frame)

    def _restore(self) -> None:
        # Lightning may put the handler back when it restores those it found; disarmed, it only passes signals on.
        self._armed = False
        if self._process is not None:
            signal.signal(signal.SIGINT, self._previous)
