"""What all ranks decide together: each function is to be called on all of them, in the same order."""

from __future__ import annotations

from typing import Any

import torch.distributed as dist
from pytorch_lightning import Trainer

from stylegan_v.callbacks.interrupts import GracefulStop


def agreed(trainer: Trainer, holds: bool) -> bool:
    """Whether something holds on all ranks."""
    return trainer.strategy.reduce_boolean_decision(holds, all=True)


def interrupted(trainer: Trainer) -> bool:
    """Whether some rank was asked to end the run, by Ctrl-C or SIGTERM."""
    stops = [callback for callback in trainer.callbacks if isinstance(callback, GracefulStop)]
    pressed = [callback.stop_if_requested(trainer) for callback in stops]
    return any(pressed) or trainer.strategy.reduce_boolean_decision(trainer.received_sigterm, all=False)


def new_group(trainer: Trainer) -> Any:
    """A process group apart from that of training, for messages from another thread; None where there is one rank."""
    return dist.new_group(backend="gloo") if trainer.world_size > 1 else None
