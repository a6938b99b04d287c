"""Runs of several processes as they are launched: two nodes, a process that dies, a restart that goes on.

Two nodes are two torchrun agents on this machine that meet over the loopback interface, each with one process.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from stylegan_v.checkpoints import LAST, read_checkpoint
from tests.checkpoint_state import assert_same, assert_same_way

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / "configs" / "stylegan_v" / "tiny.yaml"
LAUNCH = ROOT / "configs" / "launch"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
QUIET = ["--trainer.callbacks=null", "--trainer.log_every_n_steps=1", "--data.batch_size=8"]


def kimg(updates: int) -> str:
    return f"--model.total_kimg={0.024 * updates}"  # an update has 24 frames


def fit(runs: Path, updates: int, *flags: str, config: Path = TINY) -> list[str]:
    return ["train.py", "fit", "--config", str(config), "--runs_dir", str(runs), *QUIET, kimg(updates), *flags]


def started(*command: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)


def said(process: subprocess.Popen, timeout: float = 300) -> str:
    """All that it says until it ends, which it has to do in time."""
    try:
        return process.communicate(timeout=timeout)[0]
    finally:
        process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def dying(folder: Path) -> Path:
    """The tiny config with a model that is killed, under the same name."""
    config = yaml.safe_load(TINY.read_text())
    config["model"]["class_path"] = "tests.stylegan_v.dying_gan.DyingGAN"
    path = folder / TINY.name
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize("name", ["torchrun_single_node.sh", "torchrun_multi_node.sh", "slurm.sbatch"])
def test_launch_scripts_are_bash_and_name_no_machine(name: str) -> None:
    subprocess.run(["bash", "-n", str(LAUNCH / name)], check=True)
    text = (LAUNCH / name).read_text()
    assert text.startswith("#!/usr/bin/env bash\n") and 'train.py fit --config "$CONFIG"' in text
    assert not re.search(r"(^|[\s=\"'])/(?!usr/bin/env)\w", text)


def test_a_launch_script_starts_as_many_processes_as_it_says(tmp_path: Path) -> None:
    shown = tmp_path / "torchrun"
    shown.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    shown.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "NODES": "2", "GPUS": "4", "HOST": "first"}
    script = ["bash", str(LAUNCH / "torchrun_multi_node.sh"), "a.yaml", "--data.root", "videos"]
    words = subprocess.run(script, env=environment, check=True, capture_output=True, text=True).stdout.split()
    pairs = {"--nnodes": "2", "--nproc_per_node": "4", "--trainer.num_nodes": "2", "--trainer.devices": "4"}
    for flag, value in pairs.items():
        assert words[words.index(flag) + 1] == value
    assert words[-2:] == ["--data.root", "videos"] and "first:29500" in words


@pytest.mark.slow
def test_two_nodes_take_the_way_of_one_process(tmp_path: Path) -> None:
    assert said(started(sys.executable, *fit(tmp_path, 2)))
    start = shutil.copy(tmp_path / "tiny" / LAST, tmp_path / "start")
    one = started(sys.executable, *fit(tmp_path / "one", 6, "--ckpt_path", str(start)))
    said(one)
    meet = ["--nnodes", "2", "--nproc_per_node", "1", "--rdzv_backend", "c10d", "--rdzv_id", "two"]
    meet += ["--rdzv_endpoint", f"localhost:{free_port()}"]
    flags = ["--ckpt_path", "last", "--trainer.num_nodes=2", "--trainer.devices=1"]
    nodes = [started(*TORCHRUN, *meet, *fit(tmp_path, 6, *flags)) for _ in range(2)]
    output = [said(node) for node in nodes]
    assert [process.returncode for process in (one, *nodes)] == [0, 0, 0], output
    assert_same_way(start, tmp_path / "one" / "tiny" / LAST, tmp_path / "tiny" / LAST)
    assert sum("saved" in text for text in output) == 1  # one process of all writes


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_run_and_the_last_checkpoint_goes_on(tmp_path: Path) -> None:
    often = "--checkpointing.every_updates=2"
    flags = [often, "--trainer.devices=2", "--peer_timeout=120"]
    ended = started(sys.executable, *fit(tmp_path, 6, *flags, config=dying(tmp_path)))
    output = said(ended)
    assert ended.returncode not in (0, None)
    (line,) = [line for line in output.splitlines() if line.startswith("train.py: error")]
    assert "rank 0 of 2 lost another process of the run" in line and "--ckpt_path last" in line
    last = tmp_path / "tiny" / LAST
    assert read_checkpoint(last)["counters"]["updates"] == 2

    on = started(sys.executable, *fit(tmp_path, 4, "--ckpt_path", "last"))
    assert "error" not in said(on) and on.returncode == 0
    assert read_checkpoint(last)["counters"]["updates"] == 4


@pytest.mark.slow
def test_torchrun_restarts_a_run_from_its_last_checkpoint(tmp_path: Path) -> None:
    flags = ["--checkpointing.every_updates=2", "--trainer.devices=2"]
    launch = [*TORCHRUN, "--standalone", "--nproc_per_node", "2", "--max-restarts", "1"]
    run = started(*launch, *fit(tmp_path, 6, *flags, config=dying(tmp_path)))
    output = said(run)
    assert run.returncode == 0, output
    assert "restarted, goes on from last.ckpt" in output
    whole = started(*launch[:-2], *fit(tmp_path / "whole", 6, "--trainer.devices=2"))
    said(whole)
    assert torch.load(tmp_path / "tiny" / LAST, weights_only=True)["counters"]["updates"] == 6
    assert_same(tmp_path / "whole" / "tiny" / LAST, tmp_path / "tiny" / LAST)


@pytest.mark.slow
def test_a_launch_that_is_refused_does_not_go_on_by_a_restart(tmp_path: Path) -> None:
    said(started(sys.executable, *fit(tmp_path, 1)))
    launch = [*TORCHRUN, "--standalone", "--nproc_per_node", "1", "--max-restarts", "1"]
    refused = started(*launch, *fit(tmp_path, 2))
    assert said(refused).count("holds a run already") == 2  # at the start, and at the restart
    assert refused.returncode != 0
    assert read_checkpoint(tmp_path / "tiny" / LAST)["counters"]["updates"] == 1
