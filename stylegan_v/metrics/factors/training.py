"""The training of the network of factors: plain steps that can be stopped anywhere and continued exactly.

Whatever decides the next step is in the checkpoint, or a function of the seed and of the step's number.
"""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor
from torch.nn import functional as F

from errors import InputError
from stylegan_v.checkpoints import replacing
from stylegan_v.metrics.detectors.factors import (
    CLASSES,
    VALUES,
    VERSION,
    as_input,
    check_tensors,
    initialized,
    read_factors,
)
from stylegan_v.metrics.factors.clips import Batch, draw_batch
from stylegan_v.weights import write_tensors

_FORMAT = "stylegan_v.factors.training"
_MOMENTS = ("exp_avg", "exp_avg_sq")  # as AdamW names its own
# Of the learning rate, and the share of the steps that it rises over. At 3e-3 shapes are learned late or not at all.
_PEAK, _WARMUP = 1.5e-3, 0.1


@dataclass(frozen=True)
class Settings:
    """What decides the weights that come out.

    Args:
        steps: Updates in all.
        batch: Clips per update.
        seed: Of weights and clips.
    """

    steps: int
    batch: int
    seed: int


class Training:
    """A network on its way.

    Args:
        settings: Of the training.
        device: Where it is computed.

    Attributes:
        step: Updates done.
    """

    def __init__(self, settings: Settings, device: torch.device | str = "cpu") -> None:
        self.settings, self.step = settings, 0
        self.network = initialized(settings.seed).to(device).train()
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=0.0, weight_decay=0.01)

    def update(self, batch: Batch) -> float:
        """One step on a batch; its loss."""
        device = self.network.heads.weight.device
        told = self.network(as_input(batch.clips.to(device)))
        loss = loss_of(told, {name: truth.to(device) for name, truth in batch.truth.items()})
        self.optimizer.zero_grad()
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.settings.steps)
        self.optimizer.step()
        self.step += 1
        return loss.item()

    def batches(self) -> Iterator[Batch]:
        """The batches that are left; the next one is drawn while one is worked on."""
        settings = self.settings
        with ThreadPoolExecutor(1) as pool:
            coming = None
            for step in range(self.step, settings.steps + 1):
                drawn, coming = coming, None
                if step < settings.steps:
                    coming = pool.submit(draw_batch, settings.seed, step * settings.batch, settings.batch)
                if drawn is not None:
                    yield drawn.result()

    def save(self, path: Path) -> None:
        """Writes a checkpoint; whoever reads ``path`` finds the old one or this one."""
        facts = {"version": VERSION, "step": self.step, **asdict(self.settings)}
        with replacing(path) as file:
            write_tensors(file, self._tensors(), {"format": _FORMAT, "facts": json.dumps(facts)})

    def resume(self, path: Path) -> None:
        """Goes on from a checkpoint.

        Raises:
            InputError: It is none, or one of other settings.
        """
        tensors, facts = read_factors(path, _FORMAT)
        for name, value in asdict(self.settings).items():
            if facts.get(name) != value:
                raise InputError(
                    f"{path}: was begun with {name} {str(facts.get(name))[:40]}, not {value}: "
                    "give the same again, or remove it to start anew"
                )
        step = facts.get("step")
        if not isinstance(step, int) or not 0 < step <= self.settings.steps:
            raise InputError(f"{path}: its number of steps makes no sense: remove it to start anew")
        expected = {f"network.{name}": value.cpu() for name, value in self.network.weights().items()}
        for moment in _MOMENTS:
            expected |= {f"{moment}.{name}": value.cpu() for name, value in self.network.named_parameters()}
        check_tensors(expected, tensors, path)
        self.network.load_weights({name: tensors[f"network.{name}"] for name in self.network.weights()})
        self._load_moments(tensors, step)
        self.step = step

    def _tensors(self) -> dict[str, Tensor]:
        found = {f"network.{name}": value for name, value in self.network.weights().items()}
        for name, parameter in self.network.named_parameters():
            found |= {f"{moment}.{name}": self.optimizer.state[parameter][moment] for moment in _MOMENTS}
        return found

    def _load_moments(self, tensors: dict[str, Tensor], step: int) -> None:
        names = [name for name, _ in self.network.named_parameters()]
        state = {
            i: {"step": torch.tensor(float(step)), **{moment: tensors[f"{moment}.{name}"] for moment in _MOMENTS}}
            for i, name in enumerate(names)
        }
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})


def loss_of(told: dict[str, Tensor], truth: dict[str, Tensor]) -> Tensor:
    """Cross-entropies of the classes, doubled, plus mean squared errors of the values, where the clips tell them."""
    loss = 2 * sum(F.cross_entropy(told[name], truth[name]) for name in CLASSES)
    for name in VALUES:
        known = ~truth[name].isnan()
        error = torch.where(known, told[name] - truth[name].nan_to_num(), 0.0)
        loss = loss + error.square().sum() / known.sum().clamp(min=1)
    return loss


def learning_rate(step: int, steps: int) -> float:
    """Rises in a line, falls as a cosine to 0."""
    warmup = max(1, round(_WARMUP * steps))
    if step < warmup:
        return _PEAK * (step + 1) / warmup
    return _PEAK * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))) / 2


def train(
    training: Training,
    checkpoint: Path,
    save_every: int,
    stop: Callable[[], bool],
    progress: Callable[[float], None],
) -> bool:
    """Does the steps that are left.

    Args:
        training: New or resumed.
        checkpoint: Where to keep what is done.
        save_every: Steps from one checkpoint to the next.
        stop: Asked after each step whether to end here.
        progress: Told the loss of each step.

    Returns:
        Whether all steps are done; otherwise they go on from ``checkpoint``.
    """
    for batch in training.batches():
        loss = training.update(batch)
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss of step {training.step} is {loss}")
        progress(loss)
        stopping = stop()
        if stopping or training.step % save_every == 0 or training.step == training.settings.steps:
            training.save(checkpoint)
        if stopping:
            break
    return training.step == training.settings.steps


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C into an answer to the yielded question; the second acts as it always does."""
    requested = False
    previous = signal.getsignal(signal.SIGINT)

    def request(signum: int, frame: FrameType | None) -> None:
        nonlocal requested
        requested = True
        signal.signal(signal.SIGINT, previous)
        os.write(2, b"\nstopping after this step; Ctrl-C again stops at once\n")

    signal.signal(signal.SIGINT, request)
    try:
        yield lambda: requested
    finally:
        signal.signal(signal.SIGINT, previous)
