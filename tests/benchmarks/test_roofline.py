from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import roofline
from benchmarks.count import Work
from benchmarks.roofline import Ceilings, as_row, earlier, main, mean, table
from errors import InputError

ROW = {"name": "G b32", "milliseconds": 20.0, "floor": 4.0, "times": 9.5, "share": 0.25}
REPORT = {
    **{"resolution": 64, "batch": 2, "frames": 3, "precision": "32", "channel_base": None},
    **{"device": "cpu", "threads": 2, "ceilings": [{"teraflops": 0.1, "terabytes": 0.02}], "rows": [ROW]},
}


def test_a_row_says_how_many_times_over_the_floor_it_takes() -> None:
    row = as_row("G", 0.5, Work([(10**9, 1)]), Ceilings(teraflops=0.02, terabytes=1.0), width=4, whole=2.0)
    assert row.floor == pytest.approx(100.0) and row.times == pytest.approx(5.0)
    assert row.milliseconds == 500.0 and row.share == 0.25


def test_ceilings_are_averaged_one_by_one() -> None:
    assert mean([Ceilings(1.0, 10.0), Ceilings(3.0, 20.0)]) == Ceilings(2.0, 15.0)


def test_command_measures_phases_and_blocks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = {**REPORT, "resolution": 32, "batch": 1, "channel_base": 256}
    (tmp_path / "before.json").write_text(json.dumps(before))
    monkeypatch.setitem(roofline._SIDES, "cpu", 64)
    monkeypatch.setitem(roofline._COPIED, "cpu", 2**16)
    sizes = ["--resolution", "32", "--channel_base", "256", "--batch", "1", "--device", "cpu", "--repeats", "1"]
    main([*sizes, "--before", str(tmp_path / "before.json"), "--markdown", "true"])
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    rows = {row["name"]: row for row in found["rows"]}
    assert {"G", "D", "R1", "optimizers", "EMA", "update", "G b32", "D epilogue"} <= set(rows)
    update = rows["G"]["milliseconds"] + rows["D"]["milliseconds"] + rows["R1"]["milliseconds"] / 16
    update += rows["optimizers"]["milliseconds"] + rows["EMA"]["milliseconds"]
    assert rows["update"]["milliseconds"] == pytest.approx(update)
    assert sum(row["share"] for name, row in rows.items() if name[:2] in ("G ", "D ")) == pytest.approx(1.0)
    assert found["frames_per_second"] > 0 and "times" in shown.err
    lines = {line.split(" | ")[0][2:]: line for line in shown.err.splitlines() if line.startswith("| ")}
    assert lines["G b32"].endswith(" | 9.50 |") and lines["D b32"].endswith(" |  |")  # the latter was not there before


def test_an_unknown_part_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--which", "some"])
    assert stopped.value.code == 2 and "which is phases, blocks or all" in capsys.readouterr().err


def test_a_table_can_be_pasted_and_has_what_was_before() -> None:
    text = table(REPORT, {"G b32": 12.0}, markdown=True)
    assert "product 100 GFLOP/s, copy 20.0 GB/s" in text
    assert text.splitlines()[-3:] == [
        "| phase or block | ms | floor ms | times | share | times before |",
        "| --- | --- | --- | --- | --- | --- |",
        "| G b32 | 20.00 | 4.00 | 9.50 | 25% | 12.00 |",
    ]
    assert table(REPORT).splitlines()[-1].split() == ["G", "b32", "20.00", "4.00", "9.50", "25%"]


def test_an_earlier_report_is_of_the_same_sizes_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "before.json"
    path.write_text(json.dumps(REPORT))
    assert earlier(path, REPORT) == {"G b32": 9.5}
    with pytest.raises(InputError, match="was measured at resolution 64: measure the same again"):
        earlier(path, REPORT | {"resolution": 128})
    for text in ("no JSON", "[1]", '{"rows": []}', json.dumps(REPORT | {"rows": [{"name": "G"}]})):
        path.write_text(text)
        with pytest.raises(InputError, match="is no report"):
            earlier(path, REPORT)
    with pytest.raises(InputError, match="is no report"):
        earlier(tmp_path / "missing.json", REPORT)
