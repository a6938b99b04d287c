"""What keeps a fit alive: PSNR as it goes, the last good state, and a return to it where the fit has collapsed.

Fits of videos are known to collapse: the error jumps within a few updates, and never recovers. Where the PSNR over the
last 100 updates is 3 dB below its best, or an error is not finite, the field goes back to its last good state and goes
on at half the rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

WINDOW, LOOK_EVERY = 100, 10  # updates
DROP = 3.0  # dB
ATTEMPTS = 3

State = dict[str, Any]


def psnr_of(error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error of values in [-1, 1]."""
    return 10 * math.log10(4 / error) if error > 0 else math.inf


def cosine_rate(update: int, total: int, start: float, end: float) -> float:
    """A learning rate that falls along half a cosine; from ``total`` on it stays.

    Args:
        update: Updates done.
        total: Of the whole run.
        start: The rate of the first.
        end: What it falls to.
    """
    return end + (start - end) * (1 + math.cos(math.pi * min(update, total) / total)) / 2


def copied(state: Any) -> Any:
    """Nested values whose tensors are copies on the CPU."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: copied(value) for key, value in state.items()}
    return [copied(value) for value in state] if isinstance(state, (list, tuple)) else state


class CollapseGuard:
    """Errors of the last updates, their best mean, and the state that had it.

    Errors stay on their device, and are looked at every ten updates, so that a graphics card need not wait.

    Attributes:
        restores: How often it went back.
        good: The last good state; None before the first.
    """

    def __init__(self) -> None:
        self.restores, self.good = 0, None
        self._best, self._seen = -math.inf, 0
        self._errors = torch.zeros(WINDOW)

    def add(self, error: Float[Tensor, ""]) -> None:
        """Notes the mean squared error of an update, of values in [-1, 1]."""
        self._errors = self._errors.to(error.device)
        self._errors[self._seen % WINDOW] = error.detach()
        self._seen += 1

    @property
    def is_due(self) -> bool:
        """Whether it is time to look."""
        return self._seen % LOOK_EVERY == 0

    def has_collapsed(self) -> bool:
        """Whether the errors say that there is nothing to be gained from going on."""
        seen = self._errors[: self._seen]
        if not seen.isfinite().all():
            return True
        return self._seen >= WINDOW and psnr_of(float(seen.mean())) < self._best - DROP

    def keep(self, state: Callable[[], State]) -> None:
        """Takes the state for a good one where the mean error is the least so far, and the newest are no larger.

        Args:
            state: Gives it; called where it is taken. Copies cost time, so at most once in 100 updates.
        """
        if self._seen < WINDOW:
            return
        found = psnr_of(float(self._errors.mean()))
        newest = self._errors[[number % WINDOW for number in range(self._seen - LOOK_EVERY, self._seen)]]
        if found > self._best and self._seen % WINDOW == 0 and psnr_of(float(newest.mean())) > found - 1:
            self.good = copied(state())
        self._best = max(self._best, found)

    def go_back(self) -> State | None:
        """The state to go on from, or None where that was tried often enough."""
        if self.restores == ATTEMPTS or self.good is None:
            return None
        self.restores, self._seen = self.restores + 1, 0
        self._errors = torch.zeros_like(self._errors)
        return self.good

    def state_dict(self) -> State:
        """Whatever decides what it will do."""
        return {
            "restores": self.restores,
            "good": self.good,
            "best": self._best,
            "seen": self._seen,
            "errors": self._errors.cpu(),
        }

    def load_state_dict(self, state: State) -> None:
        self.restores, self.good, self._errors = state["restores"], state["good"], state["errors"]
        self._best, self._seen = state["best"], state["seen"]
