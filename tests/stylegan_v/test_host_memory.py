"""Tests of what becomes of freed memory; each in its own process, since the setting is the process's."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAULTS = """
import resource, torch
from stylegan_v.host_memory import keep_freed_memory
kept = {call}
faults = []
for _ in range(16):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(20 << 20).add_(1)  # 80 MiB
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(kept, sorted(faults[8:])[4])
"""


def run(call: str, **variables: str) -> tuple[bool, int]:
    """Whether memory is said to be kept, and how many pages the system hands out for a tensor like those before."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_", "LD_PRELOAD"))}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS.format(call=call)],
        cwd=ROOT,
        env=clean | variables,
        check=True,
        capture_output=True,
        text=True,
    )
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not glibc")
def test_what_is_freed_serves_again() -> None:
    plain, many = run("False")
    kept, few = run("keep_freed_memory()")
    assert not plain and kept
    assert few < many / 20


def test_the_environment_has_the_last_word() -> None:
    assert run("keep_freed_memory()", MALLOC_ARENA_MAX="2")[0] is False
