"""The machinery that measures on a GPU, at toy sizes without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu_suite import Part, main, parts, run, suite

ROOT = Path(__file__).parents[2]


def program(text: str, seconds: float = 60, **settings: bool) -> Part:
    return Part(text[:8], ("-c", text), seconds, **settings)


def test_a_part_that_fails_is_noted_and_the_next_one_runs(tmp_path: Path) -> None:
    good, words = program("print('{\"a\": 1}')"), Part("words", ("-c", "print(7)\nprint(8)"), 60, json=False)
    bad, silent = Part("bad", ("-c", "raise KeyError('x')"), 60), Part("silent", ("-c", "print('no')"), 60)
    report = suite([good, bad, silent, words], tmp_path / "new" / "report.json", minutes=5)
    assert json.loads((tmp_path / "new" / "report.json").read_text()) == report
    found = report["parts"]
    assert found[good.name]["figures"] == {"a": 1} and found["words"]["figures"] == ["7", "8"]
    assert found["bad"]["failed"] == "exit code 1" and "KeyError: 'x'" in found["bad"]["said"]
    assert found["silent"]["failed"].startswith("no JSON")


def test_a_part_that_hangs_ends_with_what_it_started() -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    assert run(program(child), limit=1.0)["failed"] == "not done after 1 s"


def test_parts_for_which_no_time_is_left_are_noted(tmp_path: Path) -> None:
    report = suite([program("print(1)")], tmp_path / "report.json", minutes=0.01)
    assert [found["failed"] for found in report["parts"].values()] == ["no time was left"]


def test_the_parts_fit_into_ten_minutes_together_and_name_files_that_are_there() -> None:
    names = [part.name for part in parts(tiny=False)]
    sizes = {name.split("_")[2] for name in names if name.startswith("train_step")}
    assert sizes == {"64", "128", "256", "512"}
    assert {"roofline", "sampling", "loader", "ideas", "r1", "memory_table", "gpu_tests", "compiled_default"} < set(
        names
    )
    assert [name for name in names if name.startswith("fit")] == ["fit_256_32", "fit_1024_16"]
    assert [part.name.split("_")[0] for part in parts(tiny=True)] == [
        "train",
        "roofline",
        "sampling",
        "fit",
        "loader",
        "ideas",
        "r1",
        "memory",
        "gpu",
        "compiled",
        "compiled",
    ]
    for part in parts(tiny=False):
        assert part.command[0] == "-m" or (ROOT / part.command[0]).is_file()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "no CUDA device is there" in capsys.readouterr().err


@pytest.mark.slow
def test_all_parts_run_at_toy_size(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    command = ["bash", str(ROOT / "benchmarks" / "run_gpu.sh"), "--tiny", "true", "--out", str(out)]
    environment = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    found = json.loads(out.read_text())["parts"]
    assert [name for name, part in found.items() if "failed" in part] == [], found
    assert said.strip() == f"{out}: 11 parts measured, failed: []"
    assert found["train_step_32_2"]["figures"]["clips_per_second"] > 0
    assert "passed" in found["gpu_tests"]["figures"][-1]
