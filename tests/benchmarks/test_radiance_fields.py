"""The comparison of radiance fields: what counts as failed, what is printed and kept, and its gates by real fits."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.radiance_fields import FIELDS, Row, as_text, config, differences, failures, keep, known, main

CURVE = ((50, 12.0), (300, 21.0))
PLAIN = Row("static", "plain", 0, 300, 22_308, 21.0, 20.9, 14.0, 0.9, 0.15, None, CURVE, 20.0)
CAM = replace(PLAIN, field="cam", psnr=22.0, moved=0.1)
MOVING = replace(PLAIN, scene="moving", psnr=18.0)
MOVING_CAM = replace(MOVING, field="cam", psnr=18.2, moved=0.05)
ALL = [PLAIN, CAM, MOVING, MOVING_CAM]


def seeds(row: Row, *values: float) -> list[Row]:
    return [replace(row, seed=seed, psnr=value) for seed, value in enumerate(values)]


def test_what_reaches_the_gates_passes() -> None:
    assert failures(ALL) == [] and failures([]) == []
    assert failures([PLAIN, replace(CAM, field="cam_full", psnr=5.0)]) == []  # reported beside, no gate
    assert failures([*seeds(PLAIN, 17.0, 19.5, 18.0), *seeds(CAM, 16.0, 20.0, 19.0)]) == []


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (seeds(PLAIN, 17.0, 18.5, 18.0), "static: the mean of plain is 17.83 dB, not 18"),
        ([replace(PLAIN, psnr=float("nan"))], "static: the mean of plain is nan dB"),
        ([*seeds(PLAIN, 19.0, 19.0, 19.0), *seeds(CAM, 18.0, 20.0, 19.0)], "ahead of plain for 1 of 3 seeds"),
        ([MOVING, replace(MOVING_CAM, psnr=15.9)], "moving: the mean of cam is 15.90 dB, not 16"),
        ([replace(MOVING, psnr=15.0), MOVING_CAM], "moving: the mean of plain is 15.00 dB, not 16"),
        ([MOVING, replace(MOVING_CAM, moved=0.01)], "the grids of seed 0 moved by 0.01"),
    ],
)
def test_what_does_not_is_named(rows: list[Row], words: str) -> None:
    (message,) = failures(rows)
    assert words in message


def test_gains_are_over_the_seeds_that_both_have() -> None:
    found = differences([*seeds(PLAIN, 19.0, 20.0), *seeds(CAM, 20.0, 23.0, 30.0)])
    assert found == {"static cam": {"mean": 2.0, "std": pytest.approx(2**0.5), "seeds": 2}}


def test_the_table_has_a_line_for_each_fit_mean_and_gain() -> None:
    lines = as_text([*seeds(PLAIN, 19.0, 21.0), CAM]).splitlines()
    assert len(lines) == 1 + 3 + 2 + 1
    assert " ".join(lines[1].split()) == "static plain 0 300 22308 19.00 20.90 14.00 0.9000 0.150 - 20.0"
    assert "20.00 +- 1.41" in lines[4]
    assert lines[-1] == "static cam is +3.00 dB from plain, over 1 seeds"


def test_runs_have_the_settings_of_the_comparison() -> None:
    for scene, views in (("static", 24), ("moving", 40)):
        for field in FIELDS[scene]:
            tree = config(scene, field, 2, 300, 40)
            fit, data = tree["model"]["init_args"], tree["data"]["init_args"]
            assert (fit["total_updates"], fit["validate_every"], fit["lr"]) == (300, 50, 2e-3)
            assert (data["num_views"], data["size"], data["batch_size"], data["seed"]) == (views, [40, 40], 512, 2)
            network = fit["model"]["init_args"]
            assert (network["width"], network["depth"], network["num_octaves"]) == (64, 4, 6)
            assert network["num_samples"] == [32] and tree["seed_everything"] == 2
            if field.startswith("cam") and scene == "static":
                assert network["elevation"] == ("full" if field == "cam_full" else "official")
                assert (network["view_knots"], network["norm"]) == ([10, 3], "ray")


def test_what_was_fitted_is_kept_and_read_again(tmp_path: Path) -> None:
    other = replace(PLAIN, updates=12)
    keep(tmp_path, [*ALL, other], 300, 40)
    assert known(tmp_path, 40) == [*ALL, other]
    assert (tmp_path / "table.txt").read_text().count("\n") == 1 + 4 + 4 + 2
    with Image.open(tmp_path / "curves.png") as picture:
        assert len(picture.getcolors(2**16)) > 2


@pytest.mark.parametrize("text", ["{}", '{"size": 40, "rows": [{"scene": 1}]}', "[]", '{"size": 41, "rows": []}'])
def test_what_is_no_result_is_refused(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(SystemExit) as end:
        main(["--out", str(tmp_path)])
    assert end.value.code == 2 and str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags", [["--seeds", "a"], ["--scenes", "still"], ["--fields", "siren"], ["--updates", "5"], ["--size", "0"]]
)
def test_wrong_settings_are_refused(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(flags)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("benchmarks/radiance_fields.py: error: ")


@pytest.mark.slow
def test_a_short_comparison_fails_its_gates_and_is_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["radiance_fields.py"])
    flags = ["--scenes", "moving", "--seeds", "0", "--updates", "6", "--size", "8", "--out", str(tmp_path)]
    reports = []
    for _ in range(2):
        with pytest.raises(SystemExit) as end:
            main(flags)
        assert end.value.code == 1
        reports.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    assert reports[0] == reports[1] and len(reports[0]["rows"]) == 2
    assert [update for update, _ in reports[0]["rows"][0]["curve"]] == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_one_seed_reaches_what_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["radiance_fields.py"])
    main(["--seeds", "0", "--fields", "plain,cam", "--out", str(tmp_path)])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["failures"] == [] and len(report["rows"]) == 4
