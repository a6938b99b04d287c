"""The learning rate of Mip-NeRF."""

from __future__ import annotations

import math


def delayed_log_decay(
    step: int,
    first: float = 5e-4,
    last: float = 5e-6,
    num_steps: int = 1_000_000,
    delay_steps: int = 2500,
    delay_factor: float = 0.01,
) -> float:
    """Exponential decay from one rate to another, with a slow start along a quarter of a sine.

    Args:
        step: How many steps are done, at least 0; beyond the last the rate stays.
        first: Rate at the beginning, but for the slow start.
        last: Rate at the end.
        num_steps: From the beginning to the end.
        delay_steps: Length of the slow start; 0 is none.
        delay_factor: Of the rate at its beginning.
    """
    delay = 1.0
    if delay_steps > 0:
        delay = delay_factor + (1 - delay_factor) * math.sin(math.pi / 2 * min(step / delay_steps, 1))
    return delay * first * (last / first) ** min(step / num_steps, 1)
