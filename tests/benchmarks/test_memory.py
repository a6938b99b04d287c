"""Peak memory of a call."""

from __future__ import annotations

import pytest
import torch

from benchmarks import memory


def test_growth_of_the_process_is_what_a_call_touches() -> None:
    grown = memory.resident_peak(lambda: torch.ones(64 * memory.MIB // 4).sum())
    if grown is None:
        pytest.skip("the system does not tell the memory of a process")
    assert grown == pytest.approx(64, abs=8)
