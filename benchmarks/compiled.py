"""Compiled networks beside the same ones as they are, in one run and by turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from benchmarks.measuring import interleaved
from stylegan_v.compiling import differentiated_twice


@dataclass(frozen=True)
class Beside:
    """A call without and with compiled networks.

    Attributes:
        plain_seconds: Without, median: of a GPU, or process-CPU seconds.
        compiled_seconds: With, median of as many.
        ratio: The first over the second: above 1 the compiled networks are faster.
        first_seconds: Wall-clock seconds of the first call with them, which compiles.
    """

    plain_seconds: float
    compiled_seconds: float
    ratio: float
    first_seconds: float


def beside(call: Callable[[], object], device: torch.device, *, rounds: int) -> Beside:
    """Measures a call of compiled networks beside the same call of them as they are.

    Args:
        call: Runs compiled networks.
        device: Where.
        rounds: How often each is measured, after both have run.
    """

    def plain() -> None:
        with differentiated_twice():  # as where derivatives are differentiated again, networks run as they are
            call()

    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    first = time.perf_counter() - start
    for warm_up in (call, call, plain):  # CUDA graphs are recorded when a graph runs the second time
        warm_up()
    seconds = interleaved({"plain": plain, "compiled": call}, device, rounds=rounds)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return Beside(medians["plain"], medians["compiled"], medians["plain"] / medians["compiled"], first)


def said(name: str, found: Beside) -> str:
    """A line for people."""
    return (
        f"{name:12}{found.plain_seconds:9.3f}{found.compiled_seconds:10.3f}{found.ratio:8.2f}"
        f"   first call {found.first_seconds:.0f} s"
    )
