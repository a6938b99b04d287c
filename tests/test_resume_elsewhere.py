"""A run goes on under other circumstances: more workers, another folder, more processes, a newer torch.

What holds, on the CPU: workers and place change nothing, bit for bit. Every draw of training is a function of (seed,
update, phase, clip number, name) and none comes from a global generator, so two processes go on with the very numbers
of one, those of augmentation, style mixing and the path length included; no stream of random numbers changes. Only the
order of additions does: what is compared is how far each tensor has moved since the checkpoint, to one part in 1000. A
newer torch reads all tensors as they were written, and goes on with curves that agree to one part in 10000.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import train
from stylegan_v.gan import VideoGAN
from tests.checkpoint_state import assert_same, assert_same_way, curves, described, state
from tests.stylegan_v.tiny_gan import checkpoint

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / "configs" / "stylegan_v" / "tiny.yaml"
OLDER = ROOT / "tests" / "data" / "checkpoint_torch_2_11.ckpt"


def command(*arguments: str) -> None:
    """Does what ``train.py`` does with these arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py"])
        train.main(list(arguments))


def arguments(runs: Path, updates: int, *flags: str, config: Path = TINY) -> list[str]:
    length = f"--model.total_kimg={0.012 * updates}"
    return ["fit", "--config", str(config), "--runs_dir", str(runs), "--trainer.log_every_n_steps=1", length, *flags]


def fit(runs: Path, updates: int, *flags: str, config: Path = TINY) -> None:
    command(*arguments(runs, updates, *flags, config=config))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a run of four updates in one go, without workers."""
    runs = tmp_path_factory.mktemp("whole")
    fit(runs, 4, "--trainer.callbacks=null")
    return runs / "tiny" / "last.ckpt"


# Workers


def test_the_number_of_workers_may_change(tmp_path: Path) -> None:
    whole = checkpoint(tmp_path / "whole", 6)
    none = checkpoint(tmp_path / "none", 2)
    one = checkpoint(tmp_path / "one", 4, none, num_workers=1)
    two = checkpoint(tmp_path / "two", 6, one, num_workers=2)
    assert_same(whole, two)


def test_the_number_of_workers_may_change_on_the_command_line(tmp_path: Path, whole: Path) -> None:
    fit(tmp_path, 1, "--trainer.callbacks=null")
    for num_workers in (1, 2):
        workers = ["--data.num_workers", str(num_workers)]
        fit(tmp_path, 2 * num_workers, "--trainer.callbacks=null", "--ckpt_path", "last", *workers)
    assert_same(whole, tmp_path / "tiny" / "last.ckpt")
    names = ("config.1.yaml", "config.2.yaml", "config.yaml")
    kept = [yaml.safe_load((tmp_path / "tiny" / name).read_text()) for name in names]
    assert [config["data"]["init_args"]["num_workers"] for config in kept] == [0, 1, 2]


# Place


@pytest.mark.parametrize(
    "own_config",
    [pytest.param(False, id="config"), pytest.param(True, id="its own config.yaml", marks=pytest.mark.slow)],
)
def test_a_run_goes_on_where_its_folder_was_moved(tmp_path: Path, whole: Path, own_config: bool) -> None:
    old, new = tmp_path / "before", tmp_path / "after"
    fit(old, 2)
    new.mkdir()
    folder = (old / "tiny").rename(new / "renamed")
    shutil.rmtree(old)

    config = folder / "config.yaml" if own_config else TINY
    fit(new, 4, "--run_name", "renamed", "--ckpt_path", "last", config=config)

    assert_same(whole, folder / "last.ckpt")
    assert len(curves(folder)["loss/g"]) == 4
    videos = ("real", *(f"generated_{updates:07d}" for updates in (0, 2, 4)))
    expected = {f"samples/{name}{ending}" for name in videos for ending in (".mp4", "_slices.png")}
    expected |= {"last.ckpt", "config.yaml", "config.1.yaml"}
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    assert expected <= set(files)
    assert sum(name.startswith("events") for name in files) == 2
    # Only the config that was kept of the first start says where that was.
    assert [name for name, path in files.items() if bytes(old) in path.read_bytes()] == ["config.1.yaml"]
    assert yaml.safe_load(files["config.yaml"].read_text())["runs_dir"] == str(new)
    assert [path.name for path in tmp_path.iterdir()] == ["after"]


def test_a_checkpoint_alone_goes_on_in_another_place(tmp_path: Path, whole: Path) -> None:
    fit(tmp_path / "before", 2, "--trainer.callbacks=null")
    carried = (tmp_path / "before" / "tiny" / "last.ckpt").rename(tmp_path / "carried.ckpt")
    shutil.rmtree(tmp_path / "before")
    fit(tmp_path / "after", 4, "--trainer.callbacks=null", "--ckpt_path", str(carried))
    assert_same(whole, tmp_path / "after" / "tiny" / "last.ckpt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after", "carried.ckpt"]


def test_a_moved_run_is_not_looked_for_silently(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    old = tmp_path / "before"
    fit(old, 1, "--trainer.callbacks=null")
    folder = (old / "tiny").rename(tmp_path / "tiny")
    old.rmdir()
    with pytest.raises(SystemExit) as ended:
        command("fit", "--config", str(folder / "config.yaml"), "--ckpt_path", "last")
    assert ended.value.code == 2
    assert f"{old}/tiny/last.ckpt: no checkpoint there" in capsys.readouterr().err
    assert not old.exists()


# Processes


class ReseedingGAN(VideoGAN):
    """Begins every update with global generators in a state of its own."""

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        seed = 1000 + self.updates
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        super().training_step(batch, batch_idx)


def test_training_draws_nothing_from_global_generators(tmp_path: Path) -> None:
    whole = checkpoint(tmp_path / "whole", 4)
    half = checkpoint(tmp_path / "half", 2)
    assert_same(whole, checkpoint(tmp_path / "reseeded", 4, half, made=ReseedingGAN))


def test_a_run_goes_on_in_more_parts(tmp_path: Path) -> None:
    """Micro-batches are dealt out as clips are to processes, and with the same sums."""
    half = checkpoint(tmp_path / "half", 3)
    whole = checkpoint(tmp_path / "whole", 6, half)
    assert_same_way(half, whole, checkpoint(tmp_path / "parts", 6, half, num_micro_batches=2))


def two_processes(what: str, out: Path, updates: int, start: Path) -> Path:
    """A checkpoint that two processes wrote."""
    program = [sys.executable, "-m", "tests.stylegan_v.tiny_gan", what, str(out), str(updates), str(start)]
    subprocess.run(program, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, timeout=240)
    return out


@pytest.mark.slow
def test_a_run_of_one_process_goes_on_in_two_and_back_in_one(tmp_path: Path) -> None:
    """Labels, augmentation that adapts, style mixing, path length and R1 are on."""
    half = checkpoint(tmp_path / "half", 3, batch_size=8)
    whole = checkpoint(tmp_path / "whole", 6, half, batch_size=8)

    assert_same(half, two_processes("taken", tmp_path / "taken", 0, half))
    two = two_processes("checkpoint", tmp_path / "two", 6, half)
    assert_same_way(half, whole, two)

    assert_same(two, checkpoint(tmp_path / "taken back", 0, two, batch_size=8, total_kimg=0.0))
    longer = checkpoint(tmp_path / "longer", 8, whole, batch_size=8)
    assert_same_way(whole, longer, checkpoint(tmp_path / "back", 8, two, batch_size=8))


@pytest.mark.slow
def test_two_devices_on_the_command_line(tmp_path: Path) -> None:
    flags = ("--trainer.callbacks=null", "--data.batch_size=8")  # an update has 24 frames, so 8 counts as 4
    fit(tmp_path, 4, *flags)
    start = shutil.copy(tmp_path / "tiny" / "last.ckpt", tmp_path / "start")
    fit(tmp_path / "one", 8, *flags, "--ckpt_path", str(start))
    two = arguments(tmp_path, 8, *flags, "--ckpt_path", "last", "--trainer.devices=2")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "train.py", *two], cwd=ROOT, env=environment, check=True, timeout=240)
    assert_same_way(start, tmp_path / "one" / "tiny" / "last.ckpt", tmp_path / "tiny" / "last.ckpt")
    assert len(curves(tmp_path / "tiny")["loss/g"]) == 4


# An older torch


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    """What torch 2.11 said of its checkpoint, and of the two updates after it."""
    return json.loads(OLDER.with_suffix(".json").read_text())


def test_the_checkpoint_of_an_older_torch_is_read_as_it_was_written(recorded: dict[str, Any]) -> None:
    assert recorded["torch"].startswith("2.11.")
    assert {name: described(value) for name, value in state(OLDER).items()} == recorded["leaves"]


def test_a_run_of_an_older_torch_goes_on(tmp_path: Path, recorded: dict[str, Any]) -> None:
    config = OLDER.with_suffix(".yaml")
    flags = ["--runs_dir", str(tmp_path), "--ckpt_path", str(OLDER), "--model.total_kimg=0.020"]
    command("fit", "--config", str(config), *flags)

    folder = tmp_path / OLDER.stem
    found = curves(folder)
    assert found.keys() == recorded["curves"].keys()
    for name, values in recorded["curves"].items():
        assert found[name] == pytest.approx(values, rel=1e-4), name
    before, after = state(OLDER), state(folder / "last.ckpt")
    assert after["/counters/updates"] == before["/counters/updates"] + 2 == 5
    assert all(value.isfinite().all() for value in after.values() if isinstance(value, torch.Tensor))
    assert not torch.equal(
        before["/state_dict/generator.synthesis.const"], after["/state_dict/generator.synthesis.const"]
    )
