"""Peak memory of a call: of the whole process as the system tells it, and of the tensors that are alive at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

MIB = 2**20
# Tells glibc to give blocks of tensors back at once; else how much it keeps hides what is used.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


class LiveTensors(TorchDispatchMode):
    """The largest number of bytes of tensors, made inside, that are alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._known: dict[int, tuple[StorageWeakRef, int]] = {}

    def _remember(self, tensors: Iterator[Tensor], counted: bool) -> None:
        for storage in (tensor.untyped_storage() for tensor in tensors):
            if storage._cdata not in self._known:
                self._known[storage._cdata] = StorageWeakRef(storage), storage.nbytes() * counted

    def __torch_dispatch__(
        self, func: torch._ops.OpOverload, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        self._remember(_tensors((args, kwargs or {})), counted=False)  # made before
        out = func(*args, **(kwargs or {}))
        self._remember(_tensors(out), counted=True)
        self._known = {key: one for key, one in self._known.items() if not one[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._known.values()))
        return out


def _tensors(nested: object) -> Iterator[Tensor]:
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, dict):
        yield from _tensors(list(nested.values()))
    elif isinstance(nested, list | tuple):
        for one in nested:
            yield from _tensors(one)


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
