"""Jobs spread over processes that can be counted while they run and stopped between two frames."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from errors import InputError

T = TypeVar("T")
Advance = Callable[[int], None]

_POLL_SECONDS = 0.5
_shared: tuple[Any, Any] | None = None  # of a worker process: how far all of them are, and whether to stop


class Stopped(Exception):
    """The parent asked this worker to stop."""


def run_all(jobs: Sequence[Callable[[Advance], T]], num_workers: int, advance: Advance) -> Iterator[tuple[int, T]]:
    """Results of jobs with their numbers, in the order they are ready.

    Args:
        jobs: Each is called with a function that takes numbers of finished steps, and calls it often: there it stops
            when the parent wants it to. With several workers jobs must be picklable.
        num_workers: Processes; 1: this one.
        advance: Told of finished steps, of all jobs together.

    Raises:
        InputError: A worker died.
    """
    if num_workers <= 1:
        for number, job in enumerate(jobs):
            yield number, job(advance)
        return
    # Forked workers would inherit decoders and locks in whatever state they are.
    context = multiprocessing.get_context("spawn")
    counter, stop = context.Value("q", 0), context.Event()
    with ProcessPoolExecutor(num_workers, context, _share, (counter, stop)) as pool:
        try:
            futures = {pool.submit(_work, job): number for number, job in enumerate(jobs)}
            for future in _as_ready(futures, counter, advance):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise InputError(
                "a worker process died, perhaps for lack of memory: use fewer --workers, and run again to continue"
            ) from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _as_ready(futures: dict[Future, int], counter: Any, advance: Advance) -> Iterator[Future]:
    pending, told = set(futures), 0
    while pending:
        ready, pending = wait(pending, _POLL_SECONDS, FIRST_COMPLETED)
        advance(counter.value - told)
        told = counter.value
        yield from ready


def _share(counter: Any, stop: Any) -> None:
    """Sets up a worker process."""
    global _shared
    _shared = counter, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent decides


def _work(job: Callable[[Advance], T]) -> T:
    counter, stop = _shared

    def advance(steps: int) -> None:
        with counter.get_lock():
            counter.value += steps
        if stop.is_set():
            raise Stopped

    return job(advance)
