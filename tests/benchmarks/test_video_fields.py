"""The comparison of fields of videos: what it counts as failed, what it prints, and its gates by real fits."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from benchmarks.video_fields import DECAYS, FIELDS, RATES, Row, as_text, config, failures, main

ROW = Row("nvp", 0, 35_011, 29.0, 34.5, 0.99, 12.0)
RIVALS = [replace(ROW, field="siren", psnr=29.0), replace(ROW, field="hash_grid", psnr=26.0)]


def test_what_reaches_the_gates_passes() -> None:
    assert failures([ROW, *RIVALS, replace(ROW, field="ffn", psnr=60.0)]) == []
    assert failures(RIVALS) == []  # without NVP there is nothing to compare with


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (replace(ROW, psnr=32.9), "32.90 dB, not 33"),
        (replace(ROW, psnr=float("nan")), "nan dB, not 33"),
        (replace(ROW, field="siren", psnr=29.6), "4.90 dB above siren, not 5"),
        (replace(ROW, field="hash_grid", psnr=26.6), "7.90 dB above hash_grid, not 8"),
    ],
)
def test_what_does_not_is_named(row: Row, words: str) -> None:
    rows = {one.field: one for one in [ROW, row]}
    (message,) = failures(list(rows.values()))
    assert words in message


def test_seeds_are_compared_each_for_itself() -> None:
    rows = [ROW, RIVALS[0], replace(ROW, seed=1, psnr=40.0), replace(RIVALS[0], seed=1, psnr=36.0)]
    assert failures(rows) == ["seed 1: nvp is 4.00 dB above siren, not 5"]


def test_the_table_has_a_line_for_each() -> None:
    lines = as_text([ROW, *RIVALS], 300).splitlines()
    assert "dB at 100" in lines[0] and "dB at 300" in lines[0]
    assert lines[1].split() == ["nvp", "0", "35011", "29.00", "34.50", "0.9900", "12.0"]


def test_runs_have_the_settings_of_the_comparison() -> None:
    assert RATES.keys() == FIELDS.keys()
    for field in FIELDS:
        model = config(field, 1, 300)["model"]["init_args"]
        assert (model["lr"], model["weight_decay"]) == (RATES[field], DECAYS.get(field, 0.0))
        assert (model["validate_every"], config(field, 1, 300)["data"]["init_args"]["batch_size"]) == (100, 4096)


def test_wrong_settings_are_refused(capsys: pytest.CaptureFixture) -> None:
    for flags in (["--fields", "nvp,other"], ["--seeds", "a"], ["--updates", "2"]):
        with pytest.raises(SystemExit) as end:
            main(flags)
        assert end.value.code == 2
        assert capsys.readouterr().err.startswith("benchmarks/video_fields.py: error: ")


def test_a_short_comparison_fails_its_gate_and_reports(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["video_fields.py"])
    with pytest.raises(SystemExit) as end:
        main(["--fields", "nvp", "--seeds", "0", "--updates", "3"])
    assert end.value.code == 1
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["rows"][0]["parameters"] == 35_011
    assert 5 < report["rows"][0]["psnr"] < 20 and len(report["failures"]) == 1


@pytest.mark.slow
def test_nvp_is_ahead_by_what_is_asked(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["video_fields.py"])
    main(["--fields", "nvp,siren,hash_grid"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["failures"] == [] and len(report["rows"]) == 6
