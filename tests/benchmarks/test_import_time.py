from __future__ import annotations

from benchmarks.import_time import COMMANDS, REFERENCE, seconds, table


def test_rows_show_seconds_and_the_multiple_of_the_reference() -> None:
    lines = table({REFERENCE: 2.0, "kornia": 3.0, "decord": None}).splitlines()

    assert [line.split()[-2:] for line in lines[1:3]] == [["2.00", "1.00"], ["3.00", "1.50"]]
    assert lines[3].split(maxsplit=1) == ["decord", "does not run here"]


def test_a_command_that_fails_has_no_time() -> None:
    assert seconds(["-c", "raise SystemExit(1)"], repeats=1) is None
    assert seconds(["-c", "pass"], repeats=1) is not None


def test_both_programs_are_measured() -> None:
    assert {"generate.py --help", "train.py fit --help"} <= set(COMMANDS)
