"""Evaluation by several processes against one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.stylegan_v.metrics.coded_videos import MANY, write_videos
from tests.stylegan_v.metrics.ranked import scores

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def by_ranks(*command: str, size: int = 2) -> list[subprocess.CompletedProcess[str]]:
    """Processes as torchrun starts them."""
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    try:
        ended = [process.communicate(timeout=200) for process in started]
    finally:
        for process in started:
            process.kill()
    done = zip(started, ended, strict=True)
    return [subprocess.CompletedProcess(p.args, p.returncode, out, err) for p, (out, err) in done]


def said(what: str, root: Path, out: Path) -> list[Any]:
    """What each rank wrote down."""
    out.mkdir()
    done = by_ranks("tests.stylegan_v.metrics.ranked", what, str(root), str(out))
    assert [process.returncode for process in done] == [0, 0], done[0].stderr + done[1].stderr
    return [json.loads((out / f"rank{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return write_videos(tmp_path / "videos", MANY)


@pytest.mark.slow
def test_two_processes_give_the_record_of_one(tmp_path: Path, root: Path) -> None:
    """An odd number of groups, so that one rank has nothing to do at last; the last protocol comes from the cache."""
    alone = json.loads(json.dumps(scores(root, tmp_path / "kept")))
    first, second = said("whole", root, tmp_path / "two")
    assert first == second == alone
    assert [record["cached"] for record in first] == [False, False, False, False, True, False]


@pytest.mark.slow
def test_error_on_one_rank_ends_both(tmp_path: Path, root: Path) -> None:
    first, second = said("spoilt", root, tmp_path / "two")
    assert second == "MemoryError: no memory is left"
    assert first == "InputError: another process failed: MemoryError: no memory is left"


@pytest.mark.slow
def test_stop_on_one_rank_stops_both(tmp_path: Path, root: Path) -> None:
    assert said("stopped", root, tmp_path / "two") == ["Stopped: ", "Stopped: "]
