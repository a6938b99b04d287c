from __future__ import annotations

import json

import pytest
import torch

from benchmarks.memory_table import Setting, estimate, main, table


@pytest.mark.slow
def test_the_table_has_a_row_per_setting(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    main(["--resolutions", "[32]", "--batches", "[2,3]", "--parts", "[2]", "--channel_base", "64"])
    shown = capsys.readouterr()
    rows = json.loads(shown.out)
    # Three clips make no two parts.
    assert [(row["setting"]["batch"], row["setting"]["recomputed"]) for row in rows] == [(2, False), (2, True)]
    assert all(row["estimated"] > row["standing"] > 0 and row["measured"] is None for row in rows)
    assert len(shown.err.splitlines()) == 3


@pytest.mark.slow
def test_memory_grows_with_what_is_alive() -> None:
    rows = {
        (parts, again): estimate(Setting(32, 8, 3, parts, again), bf16=False, channel_base=1024)
        for parts in (1, 4)
        for again in (False, True)
    }
    alive = {key: row.estimated - row.standing for key, row in rows.items()}
    assert alive[4, False] < 0.5 * alive[1, False]
    assert alive[1, True] < 0.9 * alive[1, False]
    assert rows[1, False].gflop_per_clip == rows[4, False].gflop_per_clip < rows[1, True].gflop_per_clip
    assert "32     8  3     4 yes" in table(list(rows.values()))


def test_what_makes_no_sense_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words, complaint in (
        (["--precision", "16"], "precision '16'"),
        (["--batches", "[]"], "at least one of each"),
        (["--resolutions", "[48]"], "resolution 48"),
        (["--batches", "[3]", "--parts", "[2]"], "none of them divides"),
    ):
        with pytest.raises(SystemExit):
            main(words)
        assert complaint in capsys.readouterr().err
