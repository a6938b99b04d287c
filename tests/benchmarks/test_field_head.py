"""The comparison of a head with bicubic enlargement: its table, its refusals, and a whole run at toy length."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.field_head import METHODS, as_text, main
from benchmarks.head.measures import DETECTORS


def test_the_table_has_means_and_spreads() -> None:
    results = [{name: {"spectrum_db": float(seed + i)} for i, name in enumerate(METHODS)} for seed in (0, 2)]
    lines = as_text(results, {"0": {"head": {"0.1": 40.0}}}).splitlines()
    assert lines[1].split() == [
        "spectrum_db",
        "1",
        "+-",
        "1.41",
        "2",
        "+-",
        "1.41",
        "3",
        "+-",
        "1.41",
        "4",
        "+-",
        "1.41",
        "-1",
        "+-",
        "0",
    ]
    assert lines[2] == "shift, seed 0, head     dB  0.1: 40.0"


@pytest.mark.parametrize(
    "flags", [["--run_seeds", "a"], ["--draws", "0"], ["--clips", "1"], ["--kimg", "-1"], ["--base_kimg", "0"]]
)
def test_wrong_settings_are_refused(flags: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        main([*flags, "--work", "/nowhere"])
    assert end.value.code == 2 and capsys.readouterr().err.startswith("benchmarks/field_head.py: error: ")


@pytest.mark.slow
def test_a_short_run_is_kept_and_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    flags = ["--work", str(tmp_path), "--base_kimg", "0.04", "--kimg", "0.04", "--clips", "4", "--draws", "1"]
    main(flags)
    first = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [result["draw"] for result in first["results"]] == [0] and (tmp_path / "seed0.png").stat().st_size > 0
    assert {f"{name}/{kind}" for name in DETECTORS for kind in ("kernel", "frechet")} < first["results"][0][
        "head"
    ].keys()
    assert all(value > 40 for found in first["shift_psnr_db"]["0"].values() for value in found.values())
    assert (tmp_path / "seed0" / "init_from.csv").exists(), "the head goes on from the run without one"
    kept = [tmp_path / name / "last.ckpt" for name in ("base0", "seed0")]
    checkpoints = [path.stat().st_mtime_ns for path in kept]
    main(flags)
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert again["results"] == first["results"]
    assert [path.stat().st_mtime_ns for path in kept] == checkpoints, "what is done is not done again"
    with pytest.raises(SystemExit):
        main([*flags, "--decoder", "PointField"])
    assert "decoders.ConvField: give it as --decoder, or another --work" in capsys.readouterr().err
