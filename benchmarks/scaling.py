"""From one process to two: seconds of an update, and the share of it in which gradients are exchanged.

    python benchmarks/scaling.py --resolution 64 --batch 4 --threads 1

Strong scaling: the same batch, dealt out to two processes. Weak scaling: a batch of the same size for each. Every
process runs the phases of an update on its clips and averages the gradients of both networks (and those of R1, by its
share) with `stylegan_v.distributed`, over gloo. Two processes on one machine share its cores, caches and memory, and
with whatever else runs there, so their wall-clock time says little about two machines. What holds anywhere is the work:
the CPU seconds of all processes over those of one, which is 1 where nothing is done twice.

Waiting, until the slower process is there, is kept apart from the exchange itself. A table goes to stderr, the same as
JSON to stdout.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from benchmarks.train_step import R1_EVERY, TrainStep, build
from command_line import Parser
from errors import InputError, clear_errors
from stylegan_v.distributed import average_over_ranks

_PATIENCE = 1800.0  # seconds


@dataclass(frozen=True)
class Load:
    """What each process does.

    Attributes:
        resolution: Side of the frames, pixels.
        clips: Of one process.
        threads: Of one process.
        updates: That are measured, after one to warm up; their median counts.
        channel_base: Narrower or wider networks than the published ones.
    """

    resolution: int
    clips: int
    threads: int
    updates: int
    channel_base: int | None = None


@dataclass(frozen=True)
class Seconds:
    """Of an update, on the average over all of them: R1 comes by its share.

    Attributes:
        wall: Of the slowest process.
        cpu: Process-CPU, of all processes together.
        waiting: For the other process, of the slowest.
        exchange: Of gradients.
    """

    wall: float
    cpu: float
    waiting: float = 0.0
    exchange: float = 0.0


def gradients(net: nn.Module) -> list[torch.Tensor]:
    """Those that the phase has made."""
    return [parameter.grad for parameter in net.parameters() if parameter.grad is not None]


def update(step: TrainStep) -> list[Seconds]:
    """Generator, discriminator and R1, each with its exchange: what this process took for them."""
    found = []
    for name, net in (("G", step.generator), ("D", step.discriminator), ("R1", step.discriminator)):
        start, cpu = time.perf_counter(), time.process_time()
        step.phases()[name]()
        done = time.perf_counter()
        if dist.is_initialized():
            dist.barrier()
        met = time.perf_counter()
        average_over_ranks(gradients(net))
        end = time.perf_counter()
        found.append(Seconds(end - start, time.process_time() - cpu, met - done, end - met))
    return found


def work(rank: int, num_ranks: int, load: Load, store: str, results: mp.Queue) -> None:
    """A process: puts the seconds of an update, phase by phase, into the queue."""
    torch.set_num_threads(load.threads)
    if num_ranks > 1:
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=num_ranks)
    torch.manual_seed(rank)
    sizes = load.resolution, load.clips, 3
    step = build(*sizes, device=torch.device("cpu"), conditioning="hypernetwork", channel_base=load.channel_base)
    rounds = [update(step) for _ in range(1 + load.updates)][1:]
    results.put([_median(phase) for phase in zip(*rounds, strict=True)])
    if num_ranks > 1:
        dist.barrier()
        dist.destroy_process_group()


def _median(found: Sequence[Seconds]) -> Seconds:
    return Seconds(*(statistics.median(column) for column in zip(*(vars(one).values() for one in found), strict=True)))


def measure(num_ranks: int, load: Load) -> Seconds:
    """An update of so many processes, each with this load.

    Raises:
        RuntimeError: A process ended without a result.
    """
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.scaling"])  # imported once, and before any thread is there
    results = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        arguments = (num_ranks, load, f"{folder}/store", results)
        processes = [context.Process(target=work, args=(rank, *arguments)) for rank in range(num_ranks)]
        for process in processes:
            process.start()
        try:
            found = [results.get(timeout=_PATIENCE) for _ in processes]
        except Empty as error:
            raise RuntimeError(f"no result after {_PATIENCE:.0f} s") from error
        finally:
            for process in processes:
                process.join(timeout=60)
                process.kill()
    return together(found)


def together(found: Sequence[Sequence[Seconds]]) -> Seconds:
    """Phases of processes to an update: G and D, and R1 once in a while; the slowest process decides."""
    weights = (1.0, 1.0, 1 / R1_EVERY)
    sums = [
        {key: sum(w * getattr(phase, key) for w, phase in zip(weights, rank, strict=True)) for key in vars(rank[0])}
        for rank in found
    ]
    return Seconds(
        max(one["wall"] for one in sums),
        sum(one["cpu"] for one in sums),
        max(one["waiting"] for one in sums),
        min(one["exchange"] for one in sums),
    )


@dataclass(frozen=True)
class Row:
    """Two processes against one.

    Attributes:
        name: strong or weak.
        one: An update of one process.
        two: An update of two.
        speedup: Clips per second of two over those of one, wall-clock.
        cpu_ratio: CPU seconds per clip of two over those of one.
        exchange_share: Of the wall-clock time of two.
    """

    name: str
    one: Seconds
    two: Seconds
    speedup: float
    cpu_ratio: float
    exchange_share: float


def row(name: str, one: Seconds, two: Seconds, clips: float) -> Row:
    """Compares; ``clips`` are those of two processes over those of one."""
    ratios = clips * one.wall / two.wall, two.cpu / one.cpu / clips, two.exchange / two.wall
    return Row(name, one, two, *ratios)


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    lines = [f"{'scaling':8}{'1: s':>8}{'2: s':>8}{'speed-up':>10}{'CPU ratio':>11}{'exchange':>10}{'waiting s':>11}"]
    for one in rows:
        lines.append(
            f"{one.name:8}{one.one.wall:8.2f}{one.two.wall:8.2f}{one.speedup:10.2f}{one.cpu_ratio:11.2f}"
            f"{one.exchange_share:10.1%}{one.two.waiting:11.2f}"
        )
    return "\n".join([*lines, "two processes share this machine: its cores, caches and memory"])


def main(args: Sequence[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/scaling.py"):
        parser = Parser(prog="benchmarks/scaling.py", description=__doc__)
        parser.add_argument("--resolution", type=int, default=64, help="side of the frames, pixels")
        parser.add_argument("--batch", type=int, default=4, help="clips of one process, or of two in strong scaling")
        parser.add_argument("--threads", type=int, default=1, help="of each process")
        parser.add_argument("--updates", type=int, default=3, help="that are measured, after one to warm up")
        parser.add_argument("--channel_base", type=int, default=None, help="narrower or wider networks than published")
        given = parser.parse_args(args)
        if min(given.resolution, given.threads, given.updates) < 1 or given.batch < 2 or given.batch % 2:
            raise InputError("batch is even, resolution, threads and updates are above 0: give such numbers")
        settings = given.threads, given.updates, given.channel_base
        whole, half = (Load(given.resolution, clips, *settings) for clips in (given.batch, given.batch // 2))
        one = measure(1, whole)
        rows = [row("strong", one, measure(2, half), 1.0), row("weak", one, measure(2, whole), 2.0)]
        print(table(rows), file=sys.stderr)
        print(json.dumps([asdict(found) for found in rows]))


if __name__ == "__main__":
    main()
