"""Peak memory of a call."""

from __future__ import annotations

import pytest
import torch

from benchmarks import memory
from benchmarks.memory import LiveTensors


def test_only_new_tensors_that_are_alive_count_and_each_once() -> None:
    before = torch.zeros(100_000)
    with LiveTensors() as live:
        kept = torch.zeros(1000)
        kept.view(10, 100).add_(1)
        before.mul_(2).view(100, 1000)
        for _ in range(3):
            torch.zeros(500)
        torch.zeros(200)
    assert kept.sum() == 1000
    assert live.peak == 4 * (1000 + 500)


def test_growth_of_the_process_is_what_a_call_touches() -> None:
    grown = memory.resident_peak(lambda: torch.ones(64 * memory.MIB // 4).sum())
    if grown is None:
        pytest.skip("the system does not tell the memory of a process")
    assert grown == pytest.approx(64, abs=8)
