"""The command of the rate-distortion curves: its options, and the whole of it on one tiny clip."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.rate_distortion import main
from benchmarks.rates import anchors, clips, fits, rival
from benchmarks.rates.clips import Clip, save_frames
from benchmarks.rates.report import ORIGINAL, RATE, RIVAL
from datasets.acceptance_video import acceptance_video

TINY = Clip("tiny", 0, 4, 32)


@pytest.mark.parametrize(
    "flags",
    [["--clips", "other"], ["--only", "anchor"], ["--points", "3"], ["--updates", "0"], ["--batch", "3"]],
)
def test_what_cannot_be_is_said_in_a_line(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        main([*flags, "--work", str(tmp_path)])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("benchmarks/rate_distortion.py: error: ")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of work for one tiny clip, few settings and a small network."""
    small = {"levels": 3, "base": 4, "growth": 1.6, "sparse_shape": [4, 6, 6], "width": 8, "capped": True}
    monkeypatch.setattr(clips, "CLIPS", {"tiny": TINY})
    monkeypatch.setattr(fits, "ARCHITECTURE", {"class_path": "fields.nvp.NVP", "init_args": small})
    monkeypatch.setattr(anchors, "CRFS", (10, 20, 30, 40))
    monkeypatch.setattr(rival, "QUALITIES", (20, 60, 95))
    monkeypatch.setattr(rival, "CRFS", (4, 30))
    save_frames(acceptance_video(4, (32, 32)), tmp_path / "clips" / TINY.name)
    return tmp_path


def test_anchors_alone_have_no_gate(tiny: Path, capsys: pytest.CaptureFixture) -> None:
    main(["--clips", "tiny", "--only", "anchors", "--work", str(tiny)])
    report = json.loads(capsys.readouterr().out)
    curves = report["clips"][TINY.name]["curves"]
    assert sorted(curves) == ["x264 yuv420p", "x264 yuv444p", "x265 yuv420p", "x265 yuv444p"]
    assert all(len(points) == 4 for points in curves.values()) and report["failures"] == []
    assert (tiny / "curves.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_the_whole_of_it_runs_and_goes_on_where_it_was(
    tiny: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["rate_distortion.py"])
    flags = ["--clips", "tiny", "--updates", "20", "--batch_size", "512", "--work", str(tiny)]
    outcomes = []
    for _ in range(2):
        try:
            main(flags)
            outcomes.append(0)
        except SystemExit as end:
            outcomes.append(end.code)
        said = capsys.readouterr()
        report = json.loads(said.out.splitlines()[-1])
        assert outcomes[-1] == bool(report["failures"])
        outcomes[-1] = (outcomes[-1], report)
        assert ("fit 5 of 5" in said.err) == (len(outcomes) == 1)
        (rival_run,) = (path.parent for path in tiny.glob("fits/*/sheets.json"))
        (rival_run / "finished.json").unlink()  # as if it had been cut off: the only one that is made again
    assert outcomes[0] == outcomes[1]
    assert "fit 1 of 1" in said.err
    curves = report["clips"][TINY.name]["curves"]
    assert {name: len(curves[name]) for name in (RIVAL, RATE)} == {RIVAL: 6, RATE: 4} and curves[ORIGINAL]
    bits = [point["payload_bits"] for point in curves[RATE]]
    assert bits == sorted(bits)  # the dearer a bit, the smaller the file
    for suffix in ("png", "md", "json"):
        assert (tiny / f"curves.{suffix}").stat().st_size > 100
