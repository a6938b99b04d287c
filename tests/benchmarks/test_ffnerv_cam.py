"""The comparison of FFNeRV with and without CAM: its runs, its table, and one short run of both."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from benchmarks.ffnerv_cam import CONFIGS, Row, as_text, config, main

ROW = Row("ffnerv", 6, 0, 48_000, 30.0, 0.99, 20_000, 19_500.4, 12.0)


def test_runs_are_those_of_the_configs_on_the_same_video() -> None:
    plain, cam = (config(field, 4, 3, None) for field in CONFIGS)
    networks = [run["model"]["init_args"]["model"]["init_args"]["network"]["init_args"] for run in (plain, cam)]
    assert [network.pop("cam_knots") for network in networks] == [None, 8]
    assert plain == cam and networks[0]["bits"] == 4
    assert plain["data"]["init_args"] == {"num_frames": 16, "size": [32, 32], "seed": 3}
    assert plain["model"]["init_args"]["total_updates"] == plain["model"]["init_args"]["validate_every"] == 800
    assert config("ffnerv", 6, 0, 5)["model"]["init_args"]["total_updates"] == 5


def test_the_table_has_all_runs_then_means_and_spreads() -> None:
    rows = [ROW, replace(ROW, seed=1, psnr=32.0, file_bytes=22_000), replace(ROW, field="ffnerv+cam")]
    lines = as_text(rows).splitlines()
    assert lines[1].split() == ["ffnerv", "6", "0", "48000", "30.00", "0.9900", "20000", "19500", "12.0"]
    assert len(lines) == 1 + 3 + 2
    assert "31.00 +- 1.41 dB" in lines[4] and "21000 +- 1414 bytes" in lines[4] and "3.50 bits per" in lines[4]
    assert "30.00 dB" in lines[5] and "(1 seeds)" in lines[5]


def test_wrong_settings_are_refused(capsys: pytest.CaptureFixture) -> None:
    for flags in (["--bits", "six"], ["--seeds", "a"], ["--updates", "0"]):
        with pytest.raises(SystemExit) as end:
            main(flags)
        assert end.value.code == 2
        assert capsys.readouterr().err.startswith("benchmarks/ffnerv_cam.py: error: ")


@pytest.mark.slow
def test_both_are_fitted_and_coded(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["ffnerv_cam.py"])
    main(["--seeds", "0", "--updates", "2"])
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]
    assert [row["field"] for row in rows] == list(CONFIGS)
    assert rows[1]["parameters"] - rows[0]["parameters"] == 896
    assert all(1 < 8 * row["file_bytes"] / row["parameters"] < 6.5 for row in rows)
