"""What the benchmarks share: time and multiply-adds of a call, and the matrix product that tells a machine's speed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from errors import InputError
from stylegan_v.host_memory import keep_freed_memory

ORIGINAL_PRODUCT = 187.0  # GFLOP/s of the 2048^3 product beside those recordings: 174 to 200
ORIGINAL_THREADS = 2  # so a CPU second of that product did half as much
PRODUCT_SIDE = 2048


@dataclass
class Timing:
    """One phase: medians over its calls.

    Attributes:
        seconds: Wall-clock seconds of a call.
        cpu_seconds: Process-CPU seconds of a call.
        multiply_adds: Of a call, in units of 10^9.
        score: Speed relative to the recorded original; None where nothing comparable was recorded.
        cpu_score: The same from process-CPU seconds.
    """

    seconds: float
    cpu_seconds: float
    multiply_adds: float
    score: float | None = None
    cpu_score: float | None = None


class MultiplyAdds(TorchDispatchMode):
    """Counts the multiply-adds of matrix products and convolutions that run inside, backward passes included.

    torch's own counter hooks into modules, which `torch.autograd.grad` does not allow; its formulas are used here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: torch._ops.OpOverload, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=out) // 2
        return out


def choose_device(name: str) -> torch.device:
    """The device of a name; "auto" is a GPU where there is one, and the CPU elsewhere.

    On a CPU, freed memory is kept from here on, as training and sampling do.

    Raises:
        InputError: There is no such device.
    """
    gpus = torch.cuda.device_count()
    try:
        device = torch.device("cuda" if gpus else "cpu") if name == "auto" else torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device {name!r}: give cpu, cuda or auto") from error
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and (device.index or 0) >= gpus):
        raise InputError(f"device {name!r}: there are {gpus} CUDA devices here: give cpu, cuda or auto")
    if device.type == "cpu":
        keep_freed_memory()
    return device


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(call: Callable[[], object], device: torch.device, *, repeats: int) -> Timing:
    """Times ``call``, after one call to warm up during which its multiply-adds are counted."""
    with MultiplyAdds() as counter:
        call()
    wall, cpu = [], []
    for _ in range(repeats):
        _wait(device)
        start = time.perf_counter(), time.process_time()
        call()
        _wait(device)
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
    return Timing(statistics.median(wall), statistics.median(cpu), counter.total / 1e9)


def device_seconds(call: Callable[[], object], device: torch.device) -> float:
    """One call: seconds of a GPU between two events, or process-CPU seconds, all threads together."""
    if device.type != "cuda":
        start = time.process_time()
        call()
        return time.process_time() - start
    with torch.cuda.device(device):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        end.synchronize()
    return start.elapsed_time(end) / 1e3


def interleaved(
    calls: Mapping[str, Callable[[], object]], device: torch.device, *, rounds: int
) -> dict[str, list[float]]:
    """`device_seconds` of calls that take turns, so that what else the machine does meets all of them alike.

    Args:
        calls: By name; each has run before.
        device: Where they run.
        rounds: How often each runs; every round begins with another one.

    Returns:
        Seconds by name, one for each round.
    """
    names = list(calls)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(device_seconds(calls[name], device))
    return seconds


def measure_product(device: torch.device, *, side: int = PRODUCT_SIDE) -> Timing:
    """A float32 matrix product, median of 5."""
    a, b = torch.randn(2, side, side, device=device)
    return measure(lambda: a @ b, device, repeats=5)


def score(seconds: float, product: float, recorded_seconds: float, recorded_product: float) -> float:
    """Speed of a phase relative to the original, each in units of its machine's matrix product.

    Args:
        seconds: Of the phase here.
        product: Speed of the product here, 10^9 operations per second.
        recorded_seconds: Of the phase of the original.
        recorded_product: Speed of the product beside it.
    """
    return (recorded_seconds * recorded_product) / (seconds * product)
