"""Tables as Markdown and as plain values."""

from __future__ import annotations

import json

from benchmarks.cam.table import Row, Table

ROW = Row("MLP", "4.97", {0: 1.0, 1: 2.0, 2: 6.0}, 1234, 39488)


def test_rows_have_median_and_mean() -> None:
    assert (ROW.median, ROW.mean) == (2.0, 3.0)


def test_markdown_shows_what_is_compared_and_all_seeds() -> None:
    table = Table("Task", "dB", "median", [ROW, Row("other", "", {1: 5.0}, 1, 32)], ["too low"], notes=["by hand"])
    assert table.markdown().splitlines() == [
        "### Task (dB)",
        "",
        "| field | parameters | bits | paper | ours (median) | least | most | seed 0 | seed 1 | seed 2 |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| MLP | 1,234 | 39,488 | 4.97 | 2 | 1 | 6 | 1 | 2 | 6 |",
        "| other | 1 | 32 |  | 5 | 5 | 5 |  | 5 |  |",
        "",
        "- by hand",
        "- FAILED: too low",
    ]
    assert "| 3 | 1 | 6 |" in Table("Task", "dB", "mean", [ROW]).markdown()


def test_plain_values_hold_no_curves() -> None:
    plain = json.loads(json.dumps(Table("Task", "dB", "mean", [ROW], curves={"MLP": ([0], [1.0])}).as_dict()))
    assert "curves" not in plain and plain["rows"][0]["median"] == 2.0 and plain["rows"][0]["ours"]["2"] == 6.0
