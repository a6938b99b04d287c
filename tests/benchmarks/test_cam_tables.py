"""The tables of CAM: what is written, how failures end, and the gates by real fits."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import benchmarks.cam
from benchmarks import cam_tables
from benchmarks.cam import Entry
from benchmarks.cam.table import Row, Table
from benchmarks.cam_tables import main


def table(work: Path, seeds: Any, failures: tuple[str, ...] = ()) -> Table:
    rows = [Row("plain", "30.3", dict.fromkeys(seeds, 30.0), 10, 320)]
    curves = {"plain": ([0, 1], [1.0, 0.0]), "CAM": ([0, 1], [1.0, 0.5])}
    return Table("Task", "error", "mean", rows, failures, curves, log_curves=True)


@pytest.fixture(autouse=True)
def entries(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Entry(lambda work, seeds: table(work, seeds, ("too low",)), (0,))
    monkeypatch.setitem(benchmarks.cam.TABLES, "right", Entry(table, (0, 1)))
    monkeypatch.setitem(benchmarks.cam.TABLES, "wrong", wrong)


def test_tables_and_curves_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--tables", "right", "--work", str(tmp_path)])
    printed = capsys.readouterr()
    assert json.loads(printed.out) == json.loads((tmp_path / "tables.json").read_text())
    assert json.loads(printed.out)["right"]["rows"][0]["ours"] == {"0": 30.0, "1": 30.0}
    assert "| plain | 10 | 320 | 30.3 | 30 |" in printed.err and (tmp_path / "tables.md").read_text() in printed.err
    with Image.open(tmp_path / "curves_right.png") as picture:
        assert picture.size == (640, 260)


def test_a_failure_ends_with_1_once_all_is_written(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--tables", "wrong,right", "--seeds", "7", "--work", str(tmp_path)])
    assert end.value.code == 1
    found = json.loads((tmp_path / "tables.json").read_text())
    assert found["wrong"]["failures"] == ["too low"] and list(found["right"]["rows"][0]["ours"]) == ["7"]


@pytest.mark.parametrize("flags", [["--tables", "nothing"], ["--seeds", "a"], ["--seeds", "1,1"], ["--seeds", "-1"]])
def test_wrong_options_end_with_2(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*flags, "--work", str(tmp_path)])
    assert end.value.code == 2 and "give" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["signal", "picture"])
def test_the_gates_by_real_fits(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark"])
    main(["--tables", name, "--work", str(tmp_path)])
    assert json.loads((tmp_path / "tables.json").read_text())[name]["failures"] == []


def test_all_tables_are_made_unless_some_are_asked_for() -> None:
    assert set(cam_tables.ALL.split(",")) == set(benchmarks.cam.TABLES) - {"right", "wrong"}
