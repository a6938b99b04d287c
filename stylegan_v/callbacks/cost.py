"""What a run will cost, said before it begins, and how fast it is, said once that is known."""

from __future__ import annotations

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.rank_zero import rank_zero_info

from errors import InputError
from stylegan_v.callbacks.counters import Counters
from stylegan_v.cost import Cost, rehearse
from stylegan_v.networks import Discriminator, Generator

MEASURED_UPDATES = 20
_GIB, _DAY = 2**30, 86400.0


class CostReport(Callback):
    """Says what a video GAN's run costs: parameters, operations and memory at its start, its speed after 20 updates.

    The first update is not among the 20: it sets up what the others use. Of these, as of any 20, one or two have R1.
    Training goes on unchanged.
    """

    def __init__(self) -> None:
        self._cost: Cost | None = None
        self._from: Counters | None = None
        self._since = 0.0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        networks = [getattr(pl_module, name, None) for name in ("generator", "discriminator")]
        if not (isinstance(networks[0], Generator) and isinstance(networks[1], Discriminator)):
            raise InputError(f"--print_cost: counts video GANs; model is {type(pl_module).__name__}: leave it out")
        self._cost = cost_of(trainer, pl_module)
        rank_zero_info("\n".join(lines(self._cost, trainer.datamodule.batch_size, trainer.world_size)))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = Counters.of(trainer, pl_module)
        if self._from is None:
            self._from, self._since = now, time.monotonic()
        elif now.updates - self._from.updates == MEASURED_UPDATES:
            rank_zero_info(speed(self._cost, self._from, now, time.monotonic() - self._since))


def cost_of(trainer: Trainer, module: LightningModule) -> Cost:
    """The cost of the run of a video GAN on each device."""
    pl_every = module.regularization.pl_every if module.regularization.pl_weight > 0 else None
    return rehearse(
        module.generator,
        module.discriminator,
        trainer.datamodule.batch_size // trainer.world_size,
        num_micro_batches=module.num_micro_batches,
        bf16=trainer.precision == "bf16-mixed",
        augment=module.augment,
        r1_every=module.r1_every if module.gamma > 0 else None,
        pl_every=pl_every,
    )


def lines(cost: Cost, batch_size: int, num_devices: int) -> list[str]:
    """The cost for people.

    Args:
        cost: Of the run on each device.
        batch_size: Clips of an update, of all devices together.
        num_devices: Of the run.
    """
    counts = ", ".join(f"{name} {count / 1e6:.4g} M" for name, count in cost.parameters.items())
    shares = [
        f"{name} {2e-9 * phase.work.multiply_adds / cost.clips:.4g}"
        + (f" (once in {phase.every} updates)" if phase.every > 1 else "")
        for name, phase in cost.phases.items()
    ]
    activations = cost.peak - cost.standing - cost.gradients
    return [
        f"cost of an update of {batch_size} clips on {num_devices} devices, {cost.clips} clips at a time:",
        f"  parameters: {counts}; together {sum(cost.parameters.values()) / 1e6:.4g} M",
        f"  GFLOP per clip: {', '.join(shares)}; an update {cost.operations_per_clip / 1e9:.4g} on the average",
        f"  memory per device: about {cost.peak / _GIB:.3g} GiB: weights, average, optimisers and clips "
        f"{cost.standing / _GIB:.3g}, gradients {cost.gradients / _GIB:.3g}, activations {activations / _GIB:.3g} "
        f"(most in the phase {cost.fullest}); beside it what the device's libraries take",
        f"  speed: measured over {MEASURED_UPDATES} updates after the first",
    ]


def speed(cost: Cost, earlier: Counters, now: Counters, seconds: float) -> str:
    """What the updates between two moments say about the days to come.

    Args:
        cost: Of the run.
        earlier: The first moment.
        now: The second.
        seconds: Between them.
    """
    frames, clips = (now.frames - earlier.frames) / seconds, (now.clips - earlier.clips) / seconds
    kimg = frames * _DAY / 1000
    left = "" if now.total_frames is None else f", {max(0.0, now.total_frames - now.frames) / frames / 3600:.3g} h left"
    return (
        f"speed over {now.updates - earlier.updates} updates: {kimg:.4g} kimg/day ({frames:.4g} frames/s, "
        f"{cost.operations_per_clip * clips / 1e12:.3g} TFLOP/s of all devices together){left}"
    )
