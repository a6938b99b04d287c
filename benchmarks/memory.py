"""Peak memory of a call: of the whole process as the system tells it, and of the tensors that are alive at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stylegan_v.cost.counting import LiveTensors

__all__ = ["ALLOCATOR", "MIB", "LiveTensors", "memory", "resident_peak"]

MIB = 2**20
# Tells glibc to give blocks of tensors back at once; else how much it keeps hides what is used.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def memory(key: str) -> float | None:
    """A figure of this process's memory, MiB: ``VmRSS``, what it holds now, ``VmHWM``, the most it ever held."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    return next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith(key))


def resident_peak(call: Callable[[], object]) -> float | None:
    """By how many MiB the process grows at most in a call; None where the system does not tell."""
    forget = Path("/proc/self/clear_refs")
    if not forget.exists():
        return None
    forget.write_text("5")  # the peak so far
    before = memory("VmRSS")
    call()
    return memory("VmHWM") - before
