from __future__ import annotations

import json

import pytest

from benchmarks import roofline
from benchmarks.count import Work
from benchmarks.roofline import Ceilings, as_row, main, mean


def test_a_row_says_how_many_times_over_the_floor_it_takes() -> None:
    row = as_row("G", 0.5, Work([(10**9, 1)]), Ceilings(teraflops=0.02, terabytes=1.0), width=4, whole=2.0)
    assert row.floor == pytest.approx(100.0) and row.times == pytest.approx(5.0)
    assert row.milliseconds == 500.0 and row.share == 0.25


def test_ceilings_are_averaged_one_by_one() -> None:
    assert mean([Ceilings(1.0, 10.0), Ceilings(3.0, 20.0)]) == Ceilings(2.0, 15.0)


def test_command_measures_phases_and_blocks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(roofline._SIDES, "cpu", 64)
    monkeypatch.setitem(roofline._COPIED, "cpu", 2**16)
    main(["--resolution", "32", "--channel_base", "256", "--batch", "1", "--device", "cpu", "--repeats", "1"])
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    rows = {row["name"]: row for row in found["rows"]}
    assert {"G", "D", "R1", "optimizers", "EMA", "update", "G b32", "D epilogue"} <= set(rows)
    update = rows["G"]["milliseconds"] + rows["D"]["milliseconds"] + rows["R1"]["milliseconds"] / 16
    update += rows["optimizers"]["milliseconds"] + rows["EMA"]["milliseconds"]
    assert rows["update"]["milliseconds"] == pytest.approx(update)
    assert sum(row["share"] for name, row in rows.items() if name[:2] in ("G ", "D ")) == pytest.approx(1.0)
    assert found["frames_per_second"] > 0 and "times" in shown.err


def test_an_unknown_part_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--which", "some"])
    assert stopped.value.code == 2 and "which is phases, blocks or all" in capsys.readouterr().err
