"""Peak memory of a call."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import memory

ROOT = Path(__file__).parents[2]
MEASURED = """
import torch
from benchmarks import memory
torch.ones(1).sum()
print(memory.resident_peak(lambda: torch.ones(64 * memory.MIB // 4).sum()))
"""


def test_growth_of_the_process_is_what_a_call_touches() -> None:
    """In a process of its own: what other tests have freed may be given back meanwhile, or used again."""
    if memory.memory("VmRSS") is None:
        pytest.skip("the system does not tell the memory of a process")
    said = subprocess.run([sys.executable, "-c", MEASURED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(said.stdout) == pytest.approx(64, abs=8)
