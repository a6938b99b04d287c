from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stylegan_v.metrics.detectors.factors import FactorDetector, initialized, load_factors
from stylegan_v.metrics.detectors.table import load_detector
from stylegan_v.metrics.factors import training as training_module
from stylegan_v.metrics.train_detector import main

TINY = ["--steps", "4", "--batch", "4", "--held_out", "16"]


def test_the_command_makes_a_detector_and_says_what_it_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "mine.safetensors"
    main(["--out", str(out), *TINY, "--seed", "5"])
    printed = capsys.readouterr().out
    for word in ("shape", "direction", "order", "velocity", "spin", "frozen", "shuffled", "reversed", "chance"):
        assert f"\n{word}" in f"\n{printed}" or word in printed.splitlines()[0]
    assert "not comparable with published numbers" in printed
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    facts = load_factors(out, "").facts
    expected = {"version": 1, "steps": 4, "batch": 4, "seed": 5, "held_out": 16, "num_frames": 16, "frame_size": 32}
    assert {name: facts[name] for name in expected} == expected
    assert facts["feature_dim"] == 128 and set(facts["frechet"]) == {"floor", "frozen", "shuffled", "reversed"}
    assert 0 <= facts["scores"]["direction"]["value"] <= 1


def test_without_a_name_the_file_goes_where_the_metrics_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    main(TINY)
    assert load_detector("factors").facts["steps"] == 4
    assert (tmp_path / "stylegan_v" / "weights" / "factors.safetensors").is_file()


def test_interrupted_and_run_again_it_is_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    main(["--out", str(whole), *TINY])

    update = training_module.Training.update

    def interrupting(self: training_module.Training, batch: object) -> float:
        if self.step == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return update(self, batch)

    monkeypatch.setattr(training_module.Training, "update", interrupting)
    with pytest.raises(SystemExit) as exit_:
        main(["--out", str(parts), *TINY])
    assert exit_.value.code == 130 and "stopped after step 2; the same command goes on" in capsys.readouterr().err
    assert not parts.exists() and (tmp_path / "parts.safetensors.unfinished").is_file()
    monkeypatch.undo()
    main(["--out", str(parts), *TINY])
    assert "goes on after step 2 of 4" in capsys.readouterr().err
    assert parts.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts.safetensors", "whole.safetensors"]


@pytest.mark.parametrize(
    "args, says",
    [
        (["--steps", "0"], "steps: 0"),
        (["--batch", "1"], "batch: 1"),
        (["--steps", "10000000", "--batch", "4096"], "steps: 10000000 steps of 4096 clips"),
        (["--held_out", "1"], "held_out: 1"),
        (["--seed", "-1"], "seed: -1"),
        (["--out", "DIR/x.pt"], "ends in .safetensors"),
        (["--out", "DIR/there.safetensors"], "is there already"),
        (["--out", "DIR/there.safetensors/x.safetensors"], "a file stands where a folder is needed"),
        (["--out", "DIR/begun.safetensors"], "begun.safetensors.unfinished"),
        (["--device", "tpu"], "device"),
        (["--step", "3"], "step: no such option: did you mean steps?"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], says: str) -> None:
    (tmp_path / "there.safetensors").write_bytes(b"mine")
    (tmp_path / "begun.safetensors.unfinished").write_bytes(b"damaged")
    with pytest.raises(SystemExit) as exit_:
        main([*TINY, "--out", str(tmp_path / "new.safetensors"), *(arg.replace("DIR", str(tmp_path)) for arg in args)])
    assert exit_.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("train_detector: error: ") and says in lines[0]
    assert (tmp_path / "there.safetensors").read_bytes() == b"mine"


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    printed = capsys.readouterr().out
    assert exit_.value.code == 0 and "  python -m stylegan_v.metrics.train_detector --out" in printed


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    command = [sys.executable, "-m", "stylegan_v.metrics.train_detector", "--out", str(out), "--steps", "230"]
    command += ["--batch", "8", "--held_out", "16"]
    first = subprocess.Popen(command, stderr=subprocess.PIPE)
    checkpoint = tmp_path / "mine.safetensors.unfinished"
    while not checkpoint.exists():
        assert first.poll() is None
        time.sleep(0.1)
    first.kill()
    first.communicate()
    assert not out.exists()
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "goes on after step" in again.stderr
    assert load_factors(out, "").facts["steps"] == 230 and [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.slow
def test_a_short_training_tells_motion_above_chance(tmp_path: Path) -> None:
    from stylegan_v.metrics.factors.scores import sanity

    out = tmp_path / "mine.safetensors"
    main(["--out", str(out), "--steps", "400", "--batch", "32", "--held_out", "1024"])
    facts = load_factors(out, "").facts
    direction, velocity = facts["scores"]["direction"], facts["scores"]["velocity"]
    # Of the 350 clips or so that have one direction: five times the standard deviation of guessing.
    assert direction["value"] > direction["chance"] + 0.1
    assert velocity["value"] < 0.85 * velocity["chance"]
    trained = facts["frechet"]
    untrained = sanity(FactorDetector(initialized(0), "", {}), 0, 1024)
    assert trained["frozen"] / trained["floor"] > 2 * untrained["frozen"] / untrained["floor"]
