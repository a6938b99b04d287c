"""Scores by `train.py fit`, `validate` and `test`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import generate
import train
from stylegan_v.metrics.detectors import table
from stylegan_v.pretrained import load_generator
from tests.stylegan_v import quick_scores

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / "configs" / "stylegan_v" / "tiny.yaml"
KIMG_PER_UPDATE = 0.012


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.setattr(table, "load_detector", quick_scores.load_colours)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def _arguments(runs: Path, updates: int, *flags: str) -> list[str]:
    run = ["--runs_dir", str(runs), f"--model.total_kimg={KIMG_PER_UPDATE * updates}"]
    return ["fit", "--config", str(TINY), *run, "--trainer.callbacks=null", *flags]


def _protocols(*paths: str) -> str:
    return f"--evaluation.protocols=[{','.join(paths)}]"


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of three updates, scored after the second and the third."""
    runs = tmp_path_factory.mktemp("scored")
    flags = [_protocols(quick_scores.protocol(runs)), "--evaluation.monitor=quick", "--evaluation.background=false"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "load_detector", quick_scores.load_colours)
        patch.setattr(sys, "argv", ["train.py"])
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        train.main(_arguments(runs, 3, *flags, f"--evaluation.every_kimg={2 * KIMG_PER_UPDATE}"))
    return runs / "tiny"


def test_a_run_with_scores(scored: Path) -> None:
    names = {path.name.partition(".")[0] for path in scored.iterdir()}
    assert names == {"config", "events", "last", "generator", "best", "metrics"}
    lines = [line for line in _lines(scored) if line["verb"] == "fit"]
    assert [line["updates"] for line in lines] == [2, 3]
    best = json.loads((scored / "best.json").read_text())
    assert best == min(lines, key=lambda line: line["value"])
    checkpoint = torch.load(scored / "best.ckpt", weights_only=True)
    assert checkpoint["counters"]["updates"] == best["updates"]
    assert load_generator(scored / "best.safetensors").resolution == (32, 32)


@pytest.mark.parametrize("name", ["best.ckpt", "best.safetensors"])
def test_the_best_state_can_be_sampled_from(scored: Path, tmp_path: Path, name: str) -> None:
    generate.main(
        ["sample", "--ckpt", str(scored / name), "--out", str(tmp_path), "--num_videos", "1", "--num_frames", "2"]
    )
    assert len(list(tmp_path.glob("*.mp4"))) == 1


@pytest.mark.parametrize(("verb", "part"), [("validate", "validation"), ("test", "test")])
def test_a_finished_run_is_measured(scored: Path, capsys: pytest.CaptureFixture, verb: str, part: str) -> None:
    train.main([verb, "--config", str(scored / "config.yaml")])
    line = _lines(scored)[-1]
    assert (line["verb"], line["updates"], line["part"]) == (verb, 3, part)
    assert line["checkpoint"] == str(scored / "last.ckpt")
    printed = capsys.readouterr().out
    assert re.search(rf"^quick: {line['value']:.5g} .*{part} of SyntheticVideos", printed, re.MULTILINE)
    trained = next(each for each in _lines(scored) if (each["verb"], each["updates"]) == ("fit", 3))
    assert (line["value"] == trained["value"]) == (verb == "validate")  # the same state, on the same half


def test_what_is_measured_can_be_chosen(scored: Path, tmp_path: Path) -> None:
    other = quick_scores.protocol(tmp_path, "other", "frechet: {}")
    flags = [_protocols(other), "--evaluation.test_on=all", "--ckpt_path=best"]
    train.main(["test", "--config", str(scored / "config.yaml"), *flags])
    line = _lines(scored)[-1]
    assert (line["protocol"], line["part"]) == ("other", "all")
    assert (line["checkpoint"], line["updates"]) == (
        str(scored / "best.ckpt"),
        json.loads((scored / "best.json").read_text())["updates"],
    )


def test_measuring_leaves_the_run_as_it_is(scored: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in scored.iterdir()}
    train.main(["validate", "--config", str(scored / "config.yaml"), "--ckpt_path", str(scored / "last.ckpt")])
    after = {path: path.stat().st_mtime_ns for path in scored.iterdir()}
    assert {path.name for path, changed in after.items() if before.get(path) != changed} == {
        "metrics.jsonl",
        "metrics.png",
    }


def test_training_can_go_on_from_the_best_state(scored: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    for name in ("config.yaml", "best.ckpt"):
        (folder / name).write_bytes((scored / name).read_bytes())
    train.main(_arguments(tmp_path, 4, "--ckpt_path=best"))
    assert torch.load(folder / "last.ckpt", weights_only=True)["counters"]["updates"] == 4


# What a user can mend: one line, exit code 2.


def _refusal(arguments: Sequence[str], capsys: pytest.CaptureFixture) -> str:
    with pytest.raises(SystemExit) as ended:
        train.main(list(arguments))
    printed = capsys.readouterr().err
    assert ended.value.code == 2, printed
    (line,) = re.findall(r"^train\.py: error: (.*)$", printed, re.MULTILINE)
    assert "Traceback" not in printed
    return line


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--evaluation.protocols=[]"], r"evaluation\.protocols: none"),
        (["--evaluation.protocols=[fvd_17f]"], r"protocol: no fvd_17f: give a YAML file, or one of fid, "),
        (["--evaluation.detectors={i4d: x}"], r"detector: i4d: there is no such network"),
        (["--ckpt_path=gone.ckpt"], r"gone\.ckpt: no checkpoint there"),
        (["--run_name=gone"], r"gone/last\.ckpt: no checkpoint there"),
        (["--run_name=gone", "--ckpt_path=best"], r"gone/best\.ckpt: no checkpoint there"),
        (["--model.generator.w_dim=8"], r"last\.ckpt: a checkpoint of another architecture"),
        (["--evaluation.every_kimg=0"], r"evaluation\.every_kimg"),
    ],
)
def test_what_cannot_be_measured(scored: Path, capsys: pytest.CaptureFixture, flags: list[str], expected: str) -> None:
    assert re.search(expected, _refusal(["validate", "--config", str(scored / "config.yaml"), *flags], capsys))


def test_without_its_feature_network_nothing_is_measured(
    scored: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["train.py"])
    flags = [_protocols("fvd_16f")]
    line = _refusal(["validate", "--config", str(scored / "config.yaml"), *flags], capsys)
    assert line == "evaluation.protocols: none of them can be measured; the lines above say why"


def test_what_fails_is_left_out_and_the_rest_is_measured(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(quick_scores.Colours):
        def features(self, clips: torch.Tensor) -> torch.Tensor:
            return super().features(clips) * torch.nan

    monkeypatch.setattr(
        table, "load_detector", lambda name, *_, **__: Broken() if name == "i3d" else quick_scores.Colours()
    )
    paths = [quick_scores.protocol(tmp_path, "bad", detector="i3d"), quick_scores.protocol(tmp_path, "good")]
    line = _refusal(["validate", "--config", str(scored / "config.yaml"), _protocols(*paths)], capsys)
    assert line == "evaluation.protocols: bad: not measured; the lines above say why"
    assert _lines(scored)[-1]["protocol"] == "good"


def test_a_protocol_to_monitor_that_is_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    flags = [_protocols(quick_scores.protocol(tmp_path)), "--evaluation.monitor=fid"]
    line = _refusal(_arguments(tmp_path / "runs", 1, *flags), capsys)
    assert line == "evaluation.monitor: fid is none of evaluation.protocols (quick)"
    assert not (tmp_path / "runs").exists()


def test_a_damaged_record_of_the_best_state(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "best.json").write_text("{")
    flags = [_protocols(quick_scores.protocol(tmp_path)), "--evaluation.monitor=quick"]
    assert re.search(r"best\.json: is damaged: remove it", _refusal(_arguments(tmp_path, 1, *flags), capsys))


# Several processes.


def _run(arguments: Sequence[str], cache: Path, **variables: str) -> str:
    """What train.py prints in a process of its own, with a quick feature network."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.stylegan_v.quick_scores", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        env={**os.environ, "XDG_CACHE_HOME": str(cache), **variables},
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


TWO = ["--trainer.devices=2", "--model.discriminator.mbstd_group_size=2", "--evaluation.batch_frames=8"]


@pytest.mark.slow
def test_two_processes_give_the_scores_of_one(scored: Path, tmp_path: Path) -> None:
    flags = [_protocols(quick_scores.protocol(tmp_path), quick_scores.protocol(tmp_path, "frechet", "frechet: {}"))]
    flags += ["--evaluation.batch_frames=8"]
    found = {}
    for devices in ("1", "2"):
        arguments = ["validate", "--config", str(scored / "config.yaml"), *flags, f"--trainer.devices={devices}"]
        before = len(_lines(scored))
        _run(arguments, tmp_path / devices)
        found[devices] = [{**line, "seconds": 0} for line in _lines(scored)[before:]]
    assert len(found["1"]) == 2
    assert found["1"] == found["2"]


@pytest.mark.slow
def test_two_processes_measure_beside_training_what_one_measures_afterwards(tmp_path: Path) -> None:
    flags = [_protocols(quick_scores.protocol(tmp_path)), "--evaluation.monitor=quick", *TWO]
    printed = _run(_arguments(tmp_path, 5, *flags, f"--evaluation.every_kimg={2 * KIMG_PER_UPDATE}"), tmp_path / "a")
    assert "held training for" in printed
    trained = _lines(tmp_path / "tiny")[-1]
    assert trained["updates"] == 5
    _run(["validate", "--config", str(tmp_path / "tiny" / "config.yaml"), "--trainer.devices=1"], tmp_path / "b")
    assert _lines(tmp_path / "tiny")[-1]["value"] == trained["value"]
    best = json.loads((tmp_path / "tiny" / "best.json").read_text())
    state = torch.load(tmp_path / "tiny" / "best.ckpt", weights_only=True)
    assert state["counters"]["updates"] == best["updates"]
    assert list((tmp_path / "tiny").glob(".*")) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoilt", "other"),
    [("features", "another process failed"), ("measure", r"Traceback .*Connection closed by peer")],
)
def test_a_failure_on_one_of_two_processes_is_said_and_does_not_keep_the_other_waiting(
    tmp_path: Path, spoilt: str, other: str
) -> None:
    flags = [_protocols(quick_scores.protocol(tmp_path)), "--evaluation.monitor=quick", *TWO]
    arguments = _arguments(tmp_path, 4, *flags, f"--evaluation.every_kimg={2 * KIMG_PER_UPDATE}")
    printed = _run(arguments, tmp_path / "cache", SPOILT=spoilt)
    assert re.search("rank 1: evaluation of update 2, quick: .*spoilt on this rank", printed, re.DOTALL)
    assert re.search(f"rank 0: evaluation of update 2, quick: {other}", printed, re.DOTALL)
    assert torch.load(tmp_path / "tiny" / "last.ckpt", weights_only=True)["counters"]["updates"] == 4
    assert [line["updates"] for line in _lines(tmp_path / "tiny")] == [4]  # the next one has a group of its own
