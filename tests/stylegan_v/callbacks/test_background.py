from __future__ import annotations

import threading

from stylegan_v.callbacks.background import Job, Worker


class _Note(Job):
    """Remembers on which thread it was done."""

    def __init__(self, notes: list[int]) -> None:
        super().__init__()
        self.notes = notes

    def work(self) -> None:
        self.notes.append(threading.get_ident())


class _Endless(Job):
    def work(self) -> None:
        while not self.stopping():
            pass


def test_all_jobs_are_done_on_one_other_thread_in_their_order() -> None:
    notes: list[int] = []
    worker, jobs = Worker("test"), [_Note(notes) for _ in range(3)]
    for job in jobs:
        worker.submit(job)
    assert all(job.wait(30) and job.over for job in jobs)
    assert len(notes) == 3
    assert set(notes) != {threading.get_ident()} and len(set(notes)) == 1
    worker.close()


def test_a_job_can_be_stopped_and_waited_for() -> None:
    worker, job = Worker("test"), _Endless()
    worker.submit(job)
    assert not job.wait(0.01)
    job.stop()
    assert job.wait(30)
    worker.close()


def test_a_job_is_over_also_where_it_was_done_by_the_caller() -> None:
    notes: list[int] = []
    job = _Note(notes)
    assert not job.over
    job.run()
    assert job.over and notes == [threading.get_ident()]


def test_a_closed_worker_finishes_and_ends() -> None:
    worker, job = Worker("test"), _Note([])
    worker.submit(job)
    worker.close()
    worker._thread.join(30)
    assert job.over and not worker._thread.is_alive()


def test_progress_is_kept_for_a_bar() -> None:
    job = _Note([])
    job.report(3, 8)
    assert job.progress == (3, 8)
