"""How far a run is, for modules that count for themselves and for those that do not."""

from __future__ import annotations

from dataclasses import dataclass

from pytorch_lightning import LightningModule, Trainer

from errors import InputError


@dataclass(frozen=True)
class Counters:
    """What has been trained on so far, of all ranks together.

    Attributes:
        updates: Updates made; Lightning's count of optimiser steps where the module keeps none.
        clips: Real clips shown; 0 where the module does not count them.
        frames: Real frames shown; likewise.
        total_frames: Frames after which the run ends; None where the module sets no such end.
        images: Images shown, by modules that know no clips; likewise 0.
        total_updates: Updates after which the run ends; None where the module sets no such end.
    """

    updates: int
    clips: int
    frames: int
    total_frames: float | None
    images: int = 0
    total_updates: int | None = None

    @property
    def done(self) -> int:
        """How far the run is, in what its end is given in: frames, else updates."""
        return self.updates if self.total_frames is None else self.frames

    @property
    def total(self) -> float | None:
        """Where it ends, in the same; None where it has no end."""
        return self.total_updates if self.total_frames is None else self.total_frames

    @staticmethod
    def of(trainer: Trainer, module: LightningModule) -> Counters:
        total_kimg = getattr(module, "total_kimg", None)
        return Counters(
            getattr(module, "updates", trainer.global_step),
            getattr(module, "num_clips", 0),
            getattr(module, "num_frames", 0),
            None if total_kimg is None else 1000 * total_kimg,
            getattr(module, "num_images", 0),
            getattr(module, "total_updates", None),
        )


def check_interval(key: str, every: int) -> None:
    """Refuses an interval that never comes round.

    Raises:
        InputError: It is not positive.
    """
    if every < 1:
        raise InputError(f"{key}: {every} is no interval: give at least 1")
