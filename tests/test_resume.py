"""A run that is interrupted and continued is the run that was not: bit for bit, on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan_v.gan import VideoGAN
from tests.checkpoint_state import assert_same
from tests.stylegan_v import tiny_gan
from tests.stylegan_v.tiny_gan import checkpoint

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_resumed_run_equals_uninterrupted_run(tmp_path: Path, num_workers: int) -> None:
    whole = checkpoint(tmp_path / "whole", 8, num_workers=num_workers)
    half = checkpoint(tmp_path / "half", 4, num_workers=num_workers)
    resumed = checkpoint(tmp_path / "resumed", 8, half, num_workers=num_workers)

    assert_same(whole, resumed)
    saved = torch.load(whole, weights_only=True)
    assert saved["counters"]["updates"] == saved["SyntheticVideos"]["update"] == 8
    assert saved["state_dict"]["ada.p"] != 0.5


def test_resume_works_from_any_update_and_in_several_steps(tmp_path: Path) -> None:
    whole = checkpoint(tmp_path / "whole", 5)
    first = checkpoint(tmp_path / "first", 1)
    second = checkpoint(tmp_path / "second", 2, first)
    assert_same(whole, checkpoint(tmp_path / "third", 5, second))


def test_resume_with_micro_batches_and_a_frozen_discriminator(tmp_path: Path) -> None:
    settings = {"num_micro_batches": 2, "freeze_d": 3}
    whole = checkpoint(tmp_path / "whole", 4, **settings)
    half = checkpoint(tmp_path / "half", 2, **settings)
    assert_same(whole, checkpoint(tmp_path / "resumed", 4, half, **settings))


def test_finished_run_stops_at_once(tmp_path: Path) -> None:
    finished = checkpoint(tmp_path / "finished", 100, total_kimg=0.030)
    assert torch.load(finished, weights_only=True)["counters"]["updates"] == 3
    assert_same(finished, checkpoint(tmp_path / "again", 100, finished, total_kimg=0.030))


def test_finished_run_goes_on_with_a_longer_total(tmp_path: Path) -> None:
    whole = checkpoint(tmp_path / "whole", 100, total_kimg=0.060)
    short = checkpoint(tmp_path / "short", 100, total_kimg=0.030)
    assert_same(whole, checkpoint(tmp_path / "longer", 100, short, total_kimg=0.060))


def test_skipped_steps_in_a_row_are_remembered(tmp_path: Path) -> None:
    model = tiny_gan.gan()
    model.guard.bad_in_a_row = {"generator": 2}
    checkpoint: dict[str, Any] = {}
    model.on_save_checkpoint(checkpoint)
    other: VideoGAN = tiny_gan.gan()
    other.on_load_checkpoint(checkpoint)
    assert other.guard.bad_in_a_row == {"generator": 2}


@pytest.mark.slow
def test_two_processes_resume_like_one_run(tmp_path: Path) -> None:
    """Two ranks, interrupted, against two ranks, uninterrupted."""

    def run(name: str, *arguments: str) -> Path:
        command = [sys.executable, "-m", "tests.stylegan_v.tiny_gan", "checkpoint", str(tmp_path / name), *arguments]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, timeout=240)
        return tmp_path / name

    whole, half = run("whole", "4"), run("half", "2")
    assert_same(whole, run("resumed", "4", str(half)))
