"""Work beside the training loop: one thread, one job at a time."""

from __future__ import annotations

import queue
import threading
from abc import abstractmethod


class Job:
    """Something to be done that can be told to stop.

    Attributes:
        progress: How much is done, and of how much; for a bar.
    """

    def __init__(self) -> None:
        self.progress = (0, 0)
        self._stop, self._over = threading.Event(), threading.Event()

    @abstractmethod
    def work(self) -> None:
        """Does it; looks at `stopping` now and then. What goes wrong is kept in the job, nothing is raised."""

    def run(self) -> None:
        """Does it, on the thread of the caller."""
        try:
            self.work()
        finally:
            self._over.set()

    def report(self, done: int, total: int) -> None:
        """Takes note of the progress."""
        self.progress = (done, total)

    def stop(self) -> None:
        """Asks for an early end."""
        self._stop.set()

    def stopping(self) -> bool:
        """Whether an early end was asked for."""
        return self._stop.is_set()

    @property
    def over(self) -> bool:
        """Whether it has ended, one way or another."""
        return self._over.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits for the end, no longer than this; says whether it has come."""
        return self._over.wait(seconds)


class Worker:
    """A thread for jobs.

    It is the same one for all: decoders keep files open per thread, and nobody closes those of a thread that has ended.
    It does not keep the program alive: a job that does not listen cannot hold up its end.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Takes on a job, to begin once those before it are over."""
        self._jobs.put(job)

    def close(self) -> None:
        """Lets the thread end after the jobs it has."""
        self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
