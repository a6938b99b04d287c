"""Tests of what a later start of a launch finds; launches themselves: tests/test_launch.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stylegan_v.launches import Launch


@pytest.fixture(autouse=True)
def started_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("TORCHELASTIC_", "SLURM_"))]:
        monkeypatch.delenv(name)


def by_torchrun(monkeypatch: pytest.MonkeyPatch, local_rank: int, parent: int) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")  # as on a machine that starts again without counting
    monkeypatch.setenv("LOCAL_RANK", str(local_rank))
    monkeypatch.setattr("os.getppid", lambda: parent)


def by_slurm(monkeypatch: pytest.MonkeyPatch, job: int, rank: int, restarts: int) -> None:
    names = {"SLURM_JOB_ID": job, "SLURM_JOB_NAME": "train", "SLURM_NTASKS": 2, "SLURM_PROCID": rank}
    for name, value in (names | {"SLURM_RESTART_COUNT": restarts}).items():
        monkeypatch.setenv(name, str(value))


def save(folder: Path, seconds_later: int, mark: Path) -> None:
    """A checkpoint so much younger than the mark."""
    (folder / "last.ckpt").touch()
    written = mark.stat().st_mtime + seconds_later
    os.utime(folder / "last.ckpt", (written, written))


def test_a_process_started_by_hand_leaves_nothing_and_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").touch()
    launch = Launch(tmp_path)
    launch.begin()
    assert not launch.saved and not Launch(tmp_path).saved
    launch.end()
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_later_start_by_the_same_torchrun_goes_on_from_what_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_torchrun(monkeypatch, 0, parent=7)
    first = Launch(tmp_path / "run")
    assert not first.saved
    first.begin()
    assert not Launch(tmp_path / "run").saved  # nothing was saved yet
    for seconds, of_it in ((-1, False), (1, True)):
        save(tmp_path / "run", seconds, first.mark)
        for local_rank in (0, 1):
            by_torchrun(monkeypatch, local_rank, parent=7)
            assert Launch(tmp_path / "run").saved is of_it
    by_torchrun(monkeypatch, 0, parent=8)
    assert not Launch(tmp_path / "run").saved  # another launch: the run that is there is not its own


def test_only_the_first_process_of_a_machine_marks_and_a_later_start_leaves_the_mark_as_old_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_torchrun(monkeypatch, 1, parent=7)
    Launch(tmp_path).begin()
    assert not list(tmp_path.iterdir())
    by_torchrun(monkeypatch, 0, parent=7)
    launch = Launch(tmp_path)
    launch.begin()
    os.utime(launch.mark, (100, 100))
    Launch(tmp_path).begin()
    assert launch.mark.stat().st_mtime == 100
    launch.end()
    assert not list(tmp_path.iterdir())


def test_a_start_that_comes_to_nothing_takes_its_own_mark_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_torchrun(monkeypatch, 0, parent=7)
    first = Launch(tmp_path)
    first.begin()
    later = Launch(tmp_path)
    later.begin()
    later.undo()
    assert first.mark.exists()
    save(tmp_path, 1, first.mark)
    first.undo()
    assert first.mark.exists()  # a later start goes on from what was saved
    (tmp_path / "last.ckpt").unlink()
    first.undo()
    assert not list(tmp_path.iterdir())


def test_what_slurm_had_saved_later_is_left_to_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_slurm(monkeypatch, job=3, rank=0, restarts=0)
    first = Launch(tmp_path)
    first.begin()
    save(tmp_path, 1, first.mark)
    by_slurm(monkeypatch, job=3, rank=0, restarts=1)
    saved_by_signal = tmp_path / "hpc_ckpt_1.ckpt"
    saved_by_signal.touch()
    for seconds, ours in ((0, True), (2, False)):
        written = first.mark.stat().st_mtime + seconds
        os.utime(saved_by_signal, (written, written))
        assert Launch(tmp_path).saved is ours


def test_a_job_that_slurm_queued_again_goes_on_but_not_a_command_given_twice_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_slurm(monkeypatch, job=3, rank=0, restarts=0)
    first = Launch(tmp_path)
    first.begin()
    save(tmp_path, 1, first.mark)
    assert not Launch(tmp_path).saved
    for rank in (0, 1):
        by_slurm(monkeypatch, job=3, rank=rank, restarts=1)
        assert Launch(tmp_path).saved
    by_slurm(monkeypatch, job=4, rank=0, restarts=1)
    assert not Launch(tmp_path).saved
