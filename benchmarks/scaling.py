"""From one process to two: seconds of an update, and the share of it in which gradients are exchanged.

    python benchmarks/scaling.py --resolution 64 --batch 4 --threads 1

Strong scaling: the same batch, dealt out to two processes. Weak scaling: a batch of the same size for each. Every
process runs the phases of an update on its clips and averages the gradients of both networks (and those of R1, by its
share) with `stylegan_v.distributed`, over gloo. Two processes on one machine share its cores, caches and memory, and
with whatever else runs there, so their wall-clock time says little about two machines. What holds anywhere is the work:
the CPU seconds of all processes over those of one, which is 1 where nothing is done twice.

Waiting, until the slower process is there, is kept apart from the exchange itself. With `--overlap_mib 8` each update
is followed by one whose gradients are exchanged while its last backward passes run, in messages of so many MiB
(`VideoGAN.overlap_exchange`); hidden is the share of the exchange that is over when they end. A table goes to stderr,
the same as JSON to stdout.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Empty

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from benchmarks.train_step import R1_EVERY, TrainStep, build, check_sizes
from command_line import Parser
from errors import InputError, clear_errors
from stylegan_v.distributed import Exchange, average_over_ranks
from stylegan_v.host_memory import keep_freed_memory
from stylegan_v.optimizers import make_optimizer
from stylegan_v.steps import in_order_of_use

_PATIENCE = 1800.0  # seconds
_GLANCE = 1.0  # seconds after which processes are looked at


@dataclass(frozen=True)
class Load:
    """What each process does.

    Attributes:
        resolution: Side of the frames, pixels.
        clips: Of one process.
        threads: Of one process.
        updates: That are measured, after one to warm up; their median counts.
        channel_base: Narrower or wider networks than the published ones.
        overlap_bytes: Size of messages that travel during backward passes; 0: only exchange afterwards.
    """

    resolution: int
    clips: int
    threads: int
    updates: int
    channel_base: int | None = None
    overlap_bytes: int = 0


@dataclass(frozen=True)
class Seconds:
    """Of an update, on the average over all of them: R1 comes by its share.

    Attributes:
        wall: Of the slowest process.
        cpu: Process-CPU, of all processes together.
        waiting: For the other process, of the slowest.
        exchange: Of gradients.
        overlapped: As ``wall``, of an update with exchange during its backward passes.
        left: Of that exchange, after them.
    """

    wall: float
    cpu: float
    waiting: float = 0.0
    exchange: float = 0.0
    overlapped: float = 0.0
    left: float = 0.0


def gradients(net: nn.Module) -> list[Tensor]:
    """Those that the phase has made."""
    return [parameter.grad for parameter in net.parameters() if parameter.grad is not None]


def networks(step: TrainStep) -> dict[str, nn.Module]:
    """Which network moves, by phase."""
    return {"G": step.generator, "D": step.discriminator, "R1": step.discriminator}


def update(step: TrainStep) -> list[Seconds]:
    """Generator, discriminator and R1, each with its exchange: what this process took for them."""
    found = []
    for name, net in networks(step).items():
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


def overlapped_update(step: TrainStep, bucket_bytes: int) -> list[tuple[float, float]]:
    """As `update`, exchanging during backward passes: seconds of each phase, and those after its backward passes."""
    found = []
    for name, net in networks(step).items():
        dist.barrier()
        order = in_order_of_use(make_optimizer("benchmark", torch.optim.SGD, net))
        start = time.perf_counter()
        exchange = Exchange(order, bucket_bytes)
        step.backward = partial(_send_during, exchange)
        step.phases()[name]()
        done = time.perf_counter()
        exchange.finish()
        end = time.perf_counter()
        found.append((end - start, end - done))
    del step.backward
    return found


def _send_during(exchange: Exchange, loss: Tensor, last: bool = False) -> None:
    with exchange.backward_pass(loss, last):
        loss.backward()


def round_of(step: TrainStep, load: Load) -> list[Seconds]:
    """An update, and where it is asked for, one with overlapped exchange."""
    found = update(step)
    if not (load.overlap_bytes and dist.is_initialized()):
        return found
    others = overlapped_update(step, load.overlap_bytes)
    return [replace(one, overlapped=wall, left=left) for one, (wall, left) in zip(found, others, strict=True)]


def work(rank: int, num_ranks: int, load: Load, store: str, results: mp.Queue) -> None:
    """A process: puts the seconds of an update, phase by phase, into the queue."""
    torch.set_num_threads(load.threads)
    keep_freed_memory()  # as training does
    if num_ranks > 1:
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=num_ranks)
    torch.manual_seed(rank)
    sizes = load.resolution, load.clips, 3
    step = build(*sizes, device=torch.device("cpu"), conditioning="hypernetwork", channel_base=load.channel_base)
    rounds = [round_of(step, load) for _ in range(1 + load.updates)][1:]
    results.put([_median(phase) for phase in zip(*rounds, strict=True)])
    if num_ranks > 1:
        dist.barrier()
        dist.destroy_process_group()


def _median(found: Sequence[Seconds]) -> Seconds:
    return Seconds(*(statistics.median(column) for column in zip(*(vars(one).values() for one in found), strict=True)))


def measure(num_ranks: int, load: Load) -> Seconds:
    """An update of so many processes, each with this load.

    Raises:
        RuntimeError: A process ended without a result, or none came in time.
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
            found = [_next_result(results, processes) for _ in processes]
            for process in processes:
                process.join(timeout=60)
        finally:
            for process in processes:
                process.kill()
    return together(found)


def _next_result(results: mp.Queue, processes: Sequence[BaseProcess]) -> list[Seconds]:
    """Waits for a process, as long as none has failed: the others would wait for it."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        try:
            return results.get(timeout=_GLANCE)
        except Empty:
            failed = [process.exitcode for process in processes if process.exitcode]
            if failed:
                raise RuntimeError(f"a process ended with exit code {failed[0]}: see above") from None
    raise RuntimeError(f"no result after {_PATIENCE:.0f} s")


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
        max(one["overlapped"] for one in sums),
        sum(w * min(phase.left for phase in ranks) for w, ranks in zip(weights, zip(*found, strict=True), strict=True)),
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
        hidden: Share of the exchange that overlapping hides; None where it was not measured.
    """

    name: str
    one: Seconds
    two: Seconds
    speedup: float
    cpu_ratio: float
    exchange_share: float
    hidden: float | None = None


def row(name: str, one: Seconds, two: Seconds, clips: float) -> Row:
    """Compares; ``clips`` are those of two processes over those of one."""
    ratios = clips * one.wall / two.wall, two.cpu / one.cpu / clips, two.exchange / two.wall
    hidden = 1 - two.left / two.exchange if two.overlapped else None
    return Row(name, one, two, *ratios, hidden)


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    lines = [f"{'scaling':8}{'1: s':>8}{'2: s':>8}{'speed-up':>10}{'CPU ratio':>11}{'exchange':>10}{'waiting s':>11}"]
    for one in rows:
        lines.append(
            f"{one.name:8}{one.one.wall:8.2f}{one.two.wall:8.2f}{one.speedup:10.2f}{one.cpu_ratio:11.2f}"
            f"{one.exchange_share:10.1%}{one.two.waiting:11.2f}"
        )
    lines += [
        f"{one.name}: {one.hidden:.0%} of the exchange hidden, {one.two.left:.3f} s left of {one.two.exchange:.3f}; "
        f"an update takes {one.two.overlapped:.2f} s"
        for one in rows
        if one.hidden is not None
    ]
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
        parser.add_argument(
            "--overlap_mib", type=float, default=0.0, help="of messages during backward passes; 0: none"
        )
        given = parser.parse_args(args)
        if min(given.resolution, given.threads, given.updates) < 1 or given.batch < 2 or given.batch % 2:
            raise InputError("batch is even, resolution, threads and updates are above 0: give such numbers")
        if given.overlap_mib < 0:
            raise InputError("--overlap_mib: give the MiB of a message, or 0")
        check_sizes(given.resolution)
        settings = given.threads, given.updates, given.channel_base, int(given.overlap_mib * 2**20)
        whole, half = (Load(given.resolution, clips, *settings) for clips in (given.batch, given.batch // 2))
        one = measure(1, whole)
        rows = [row("strong", one, measure(2, half), 1.0), row("weak", one, measure(2, whole), 2.0)]
        print(table(rows), file=sys.stderr)
        print(json.dumps([asdict(found) for found in rows]))


if __name__ == "__main__":
    main()
