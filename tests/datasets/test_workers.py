from __future__ import annotations

import functools
import os
from collections.abc import Callable

import pytest

from datasets.workers import run_all
from errors import InputError


def double(number: int, advance: Callable[[int], None]) -> tuple[int, int]:
    for _ in range(number):
        advance(1)
    return 2 * number, os.getpid()


def fail(advance: Callable[[int], None]) -> None:
    raise OSError(28, "No space left on device", "store.zip")


def die(advance: Callable[[int], None]) -> None:
    os._exit(1)


def wait_for_the_end(path: str, advance: Callable[[int], None]) -> None:
    """Works until it is told to stop, and notes that it was."""
    try:
        while True:
            advance(1)
    finally:
        with open(path, "w") as file:
            file.write("stopped")


@pytest.mark.parametrize("num_workers", [1, 2])
def test_results_come_with_their_numbers_and_steps_are_counted(num_workers: int) -> None:
    steps = []
    jobs = [functools.partial(double, number) for number in (5, 0, 3)]
    results = dict(run_all(jobs, num_workers, steps.append))
    assert {i: result for i, (result, _) in results.items()} == {0: 10, 1: 0, 2: 6}
    assert sum(steps) == 8
    assert ({pid for _, pid in results.values()} == {os.getpid()}) == (num_workers == 1)


def test_a_failure_reaches_the_parent_and_stops_the_others(tmp_path: pytest.TempPathFactory) -> None:
    jobs = [functools.partial(wait_for_the_end, str(tmp_path / "note")), fail]
    with pytest.raises(OSError, match="No space left") as caught:
        list(run_all(jobs, 2, lambda steps: None))
    assert (caught.value.errno, caught.value.filename) == (28, "store.zip")
    assert (tmp_path / "note").read_text() == "stopped"


def test_a_worker_that_dies_is_one_clear_error() -> None:
    with pytest.raises(InputError, match="a worker process died"):
        list(run_all([die, die], 2, lambda steps: None))
