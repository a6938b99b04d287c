"""Runs of tables: through train.py, once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.cam.fits import fit

QUICK = {"model.total_updates": 4, "model.validate_every": 2, "model.model.hidden": [4], "data.num_points": 20}


def test_a_run_is_made_once_for_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark"])
    first = fit(tmp_path, "a", "configs/fields/signal_cam.yaml", QUICK)
    assert first.curve("updates") == ([2, 4], [2, 4]) and first.last["points"] == 20
    (run,) = tmp_path.glob("a_*")
    written = (run / "last.ckpt").stat().st_mtime_ns
    assert fit(tmp_path, "a", "configs/fields/signal_cam.yaml", QUICK).last == first.last
    assert (run / "last.ckpt").stat().st_mtime_ns == written

    (run / "finished.yaml").unlink()  # as if it had been stopped
    assert fit(tmp_path, "a", "configs/fields/signal_cam.yaml", QUICK).lines == first.lines
    assert fit(tmp_path, "a", "configs/fields/signal_cam.yaml", {**QUICK, "data.num_points": 10}).last["points"] == 10
    assert len(list(tmp_path.glob("a_*"))) == 2
