"""Runs of several processes as they are launched: two nodes, a process that dies, a restart that goes on.

Two nodes are two torchrun agents on this machine that meet over the loopback interface, each with one process. There is
no SLURM here: two processes stand for those of srun, with the variables that it gives them.
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


def started(*command: str, **variables: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
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


SRUN = """#!/usr/bin/env bash
test "$1" = --kill-on-bad-exit=1
shift
tasks=()
for rank in 0 1; do
    SLURM_PROCID=$rank SLURM_NODEID=$rank SLURM_LOCALID=0 "$@" &
    tasks+=($!)
done
for task in "${tasks[@]}"; do
    wait "$task" || exit 1
done
"""


def programs(folder: Path) -> str:
    """A search path on which the launch scripts find what they start."""
    folder.mkdir()
    texts = {"torchrun": f'#!/bin/sh\nexec {" ".join(TORCHRUN)} "$@"\n', "srun": SRUN}
    texts["python"] = f'#!/bin/sh\nexec {sys.executable} "$@"\n'
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


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
    """By the scripts of configs/launch: torchrun on each of two nodes, and a job of SLURM."""
    assert said(started(sys.executable, *fit(tmp_path, 2)))
    start = shutil.copy(tmp_path / "tiny" / LAST, tmp_path / "start")
    shutil.copytree(tmp_path / "tiny", tmp_path / "slurm" / "tiny")
    one = started(sys.executable, *fit(tmp_path / "one", 6, "--ckpt_path", str(start)))
    said(one)
    expected = tmp_path / "one" / "tiny" / LAST

    path, port = programs(tmp_path / "bin"), str(free_port())
    flags = fit(tmp_path, 6, "--ckpt_path", "last")[
        4:
    ]  # the scripts begin with `train.py fit --config FILE` themselves
    script = ["bash", str(LAUNCH / "torchrun_multi_node.sh"), str(TINY)]
    settings = {"PATH": path, "NODES": "2", "GPUS": "1", "HOST": "localhost", "PORT": port, "RESTARTS": "0"}
    nodes = [started(*script, *flags, **settings) for _ in range(2)]
    output = [said(node) for node in nodes]
    assert [process.returncode for process in (one, *nodes)] == [0, 0, 0], output
    assert_same_way(start, expected, tmp_path / "tiny" / LAST)
    assert sum("saved" in text for text in output) == 1  # one process of all writes

    flags = fit(tmp_path / "slurm", 6, "--ckpt_path", "last")[4:]
    settings = {"PATH": path, "SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "stylegan-v", "MASTER_PORT": str(free_port())}
    settings |= {"SLURM_NODELIST": "localhost", "SLURM_JOB_NUM_NODES": "2", "SLURM_NNODES": "2"}
    settings |= {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1"}
    job = started("bash", str(LAUNCH / "slurm.sbatch"), str(TINY), *flags, **settings)
    text = said(job)
    assert job.returncode == 0, text
    assert_same_way(start, expected, tmp_path / "slurm" / "tiny" / LAST)
    assert text.count("saved") == 1


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
def test_two_nodes_restart_when_a_process_of_one_is_killed(tmp_path: Path) -> None:
    path, port = programs(tmp_path / "bin"), str(free_port())
    config = dying(tmp_path)
    flags = fit(tmp_path, 6, "--checkpointing.every_updates=2")[4:]
    script = ["bash", str(LAUNCH / "torchrun_multi_node.sh"), str(config), *flags]
    settings = {"PATH": path, "NODES": "2", "GPUS": "1", "HOST": "localhost", "PORT": port}
    nodes = [started(*script, **settings) for _ in range(2)]
    output = [said(node) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], output
    assert sum("restarted, goes on from last.ckpt" in text for text in output) == 1  # said once, by the first process
    whole = started(sys.executable, *fit(tmp_path / "whole", 6, "--trainer.devices=2"))
    said(whole)
    assert_same(tmp_path / "whole" / "tiny" / LAST, tmp_path / "tiny" / LAST)


@pytest.mark.slow
def test_a_launch_that_is_refused_does_not_go_on_by_a_restart(tmp_path: Path) -> None:
    said(started(sys.executable, *fit(tmp_path, 1)))
    launch = [*TORCHRUN, "--standalone", "--nproc_per_node", "1", "--max-restarts", "1"]
    refused = started(*launch, *fit(tmp_path, 2))
    assert said(refused).count("holds a run already") == 2  # at the start, and at the restart
    assert refused.returncode != 0
    assert read_checkpoint(tmp_path / "tiny" / LAST)["counters"]["updates"] == 1
