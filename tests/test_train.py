from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import train
from stylegan_v.pretrained import load_generator
from stylegan_v.weights import read_weights

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / "configs" / "stylegan_v" / "tiny.yaml"
KIMG_PER_UPDATE = 0.012
BORING = "model: {class_path: pytorch_lightning.demos.boring_classes.BoringModel}\n"


@pytest.fixture(autouse=True)
def _own_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py"])


def _arguments(runs: Path, updates: int, *flags: str) -> list[str]:
    run = ["--runs_dir", str(runs), f"--model.total_kimg={KIMG_PER_UPDATE * updates}"]
    return ["fit", "--config", str(TINY), *run, "--trainer.callbacks=null", *flags]


def _fit(runs: Path, updates: int, *flags: str) -> dict[str, Any]:
    """Trains up to so many updates and gives back what the last checkpoint holds."""
    train.main(_arguments(runs, updates, *flags))
    return torch.load(runs / "tiny" / "last.ckpt", weights_only=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four updates in one go."""
    runs = tmp_path_factory.mktemp("whole")
    _fit(runs, 4, "--trainer.log_every_n_steps=1")
    return runs


def _assert_same_state(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for key in ("state_dict", "counters", "SyntheticVideos"):
        torch.testing.assert_close(found[key], expected[key], rtol=0, atol=0)
    for mine, theirs in zip(found["optimizer_states"], expected["optimizer_states"], strict=True):
        torch.testing.assert_close(mine["state"], theirs["state"], rtol=0, atol=0)
        assert mine["param_groups"] == theirs["param_groups"]


def _steps(folder: Path, tag: str) -> list[int]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.step for event in events.Scalars(tag)]


def test_a_run_lives_in_its_folder(whole: Path) -> None:
    folder = whole / "tiny"
    names = {path.name.partition(".")[0] for path in folder.iterdir()}
    assert names == {"config", "events", "last", "generator"}
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert (config["run_name"], config["ckpt_path"]) == ("tiny", None)
    assert config["model"]["init_args"]["r1_every"] == 16  # a default, resolved
    checkpoint = torch.load(folder / "last.ckpt", weights_only=True)
    assert yaml.safe_load(checkpoint["config"]) == config
    assert checkpoint["counters"]["updates"] == 4
    assert _steps(folder, "loss/g") == [0, 1, 2, 3]


def test_its_checkpoint_is_a_generator(whole: Path) -> None:
    generator = load_generator(whole / "tiny")
    t = torch.tensor([[0.0, 1.5]], dtype=torch.float64)
    frames = generator(torch.zeros(1, generator.z_dim), t, motion_z=torch.zeros(1, 99, 16))
    assert frames.shape == (1, 2, 3, 32, 32)
    state = torch.load(whole / "tiny" / "last.ckpt", weights_only=True)["state_dict"]
    for name, value in generator.state_dict().items():
        assert torch.equal(value, state[f"generator_ema.{name}"])


def test_it_leaves_a_light_generator_of_the_same_update(whole: Path, tmp_path: Path) -> None:
    for name in ("generator.safetensors", "config.yaml"):  # all that use needs
        (tmp_path / name).write_bytes((whole / "tiny" / name).read_bytes())
    heavy, light = read_weights(whole / "tiny"), read_weights(tmp_path)
    assert (heavy.kind, light.kind) == ("checkpoint", "generator")
    assert light.facts == heavy.facts
    assert (light.facts["updates"], light.facts["num_frames"], light.facts["fps"]) == (4, 48, 25)
    assert light.model == heavy.model
    assert list(light.networks) == ["generator_ema"]
    torch.testing.assert_close(light.networks["generator_ema"], heavy.networks["generator_ema"], rtol=0, atol=0)
    assert load_generator(tmp_path).resolution == (32, 32)


def test_a_full_disk_keeps_the_old_light_generator(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fit(tmp_path, 1)
    before = (tmp_path / "tiny" / "generator.safetensors").read_bytes()

    def full(file: Any, *_: Any) -> None:
        file.write(b"a part")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("stylegan_v.weights.write_tensors", full)
    line = _refusal(_arguments(tmp_path, 2, "--ckpt_path", "last"), capsys)
    assert re.search(r"tiny/generator\.safetensors: the disk is full", line)
    assert (tmp_path / "tiny" / "generator.safetensors").read_bytes() == before
    assert list((tmp_path / "tiny").glob(".*")) == []


def test_a_resumed_run_equals_one_in_one_go_bit_for_bit(tmp_path: Path, whole: Path) -> None:
    expected = torch.load(whole / "tiny" / "last.ckpt", weights_only=True)
    _fit(tmp_path, 2, "--trainer.log_every_n_steps=1")
    resumed = _fit(tmp_path, 4, "--trainer.log_every_n_steps=1", "--ckpt_path", "last")
    _assert_same_state(resumed, expected)
    assert _steps(tmp_path / "tiny", "loss/g") == [0, 1, 2, 3]
    kept = [yaml.safe_load((tmp_path / "tiny" / name).read_text()) for name in ("config.1.yaml", "config.yaml")]
    assert [config["model"]["init_args"]["total_kimg"] for config in kept] == [0.024, 0.048]


def test_the_saved_config_starts_the_same_run(tmp_path: Path, whole: Path) -> None:
    saved = whole / "tiny" / "config.yaml"
    train.main(["fit", "--config", str(saved), "--runs_dir", str(tmp_path)])
    again = torch.load(tmp_path / "tiny" / "last.ckpt", weights_only=True)
    _assert_same_state(again, torch.load(whole / "tiny" / "last.ckpt", weights_only=True))


def test_a_finished_run_is_resumed_to_its_end_at_once(whole: Path) -> None:
    before = (whole / "tiny" / "last.ckpt").stat().st_mtime_ns
    train.main(_arguments(whole, 4, "--trainer.log_every_n_steps=1", "--ckpt_path", "last"))
    assert (whole / "tiny" / "last.ckpt").stat().st_mtime_ns == before


def test_any_module_can_be_trained(tmp_path: Path) -> None:
    config = tmp_path / "boring.yaml"
    config.write_text(BORING + "trainer: {accelerator: cpu, max_steps: 3, limit_val_batches: 0, logger: false}\n")
    train.main(["fit", "--config", str(config), "--runs_dir", str(tmp_path), "--trainer.enable_progress_bar=false"])
    assert torch.load(tmp_path / "boring" / "last.ckpt", weights_only=True)["global_step"] == 3


def test_a_signal_decides_the_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegan_v.runs.GracefulStop.on_train_start", _press(signal.SIGINT))
    with pytest.raises(SystemExit) as ended:
        _fit(tmp_path, 9)
    assert ended.value.code == 130
    monkeypatch.setattr("stylegan_v.runs.GracefulStop.on_train_start", _press(signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        _fit(tmp_path, 9, "--ckpt_path", "last")
    assert ended.value.code == 143
    assert torch.load(tmp_path / "tiny" / "last.ckpt", weights_only=True)["counters"]["updates"] == 2


def test_ctrl_c_before_training_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("stylegan_v.runs.RunCLI.instantiate_classes", _press(signal.SIGINT))
    with pytest.raises(SystemExit) as ended:
        train.main(_arguments(tmp_path, 4))
    assert ended.value.code == 130
    assert capsys.readouterr().err.splitlines()[-1] == "train.py: stopped; nothing was saved"
    assert list(tmp_path.iterdir()) == []


def _press(number: signal.Signals) -> Any:
    return lambda *_: os.kill(os.getpid(), number)


# What a user can mend: one line, exit code 2.


def _refusal(arguments: Sequence[str], capsys: pytest.CaptureFixture) -> str:
    """The one line with which train.py refuses these arguments."""
    with pytest.raises(SystemExit) as ended:
        train.main(list(arguments))
    printed = capsys.readouterr().err
    assert ended.value.code == 2, printed
    (line,) = re.findall(r"^train\.py: error: (.*)$", printed, re.MULTILINE)
    assert "Traceback" not in printed
    assert len(line) < 400
    return line


def _frames(folder: Path, num_frames: int, size: tuple[int, int] = (40, 36)) -> None:
    folder.mkdir(parents=True)
    for i in range(num_frames):
        Image.fromarray(np.full((*size, 3), 20 * i, np.uint8)).save(folder / f"{i}.png")


FOLDER = [
    "--data=datasets.datamodule.VideoFolder",
    "--data.resolution=32",
    "--data.batch_size=4",
    "--data.num_workers=0",
    "--data.frame_sampler=datasets.frame_sampling.HeavyTailed",
    "--data.frame_sampler.num_frames=3",
    "--data.frame_sampler.max_num_frames=64",
]


@pytest.mark.parametrize(
    ("root", "flags", "expected"),
    [
        ("gone", [], r"gone.*"),
        ("empty", [], r"empty.*no .*video"),
        ("short", [], r"short.*3 frames"),
        ("videos", ["--data.labels=json"], r"videos: no dataset\.json"),
        ("videos", ["--data.resolution=5"], r"resolution: 5 is not possible"),
        ("videos", ["--data.resolution=64"], r"data\.resolution is \(64, 64\) but model\.generator\.resolution"),
        ("videos", ["--data.batch_size=6"], r"mbstd_group_size"),
    ],
)
def test_data_that_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture, root: str, flags: list[str], expected: str
) -> None:
    (tmp_path / "empty").mkdir()
    _frames(tmp_path / "short" / "a", 2)
    _frames(tmp_path / "videos" / "a", 8)
    cache = f"--data.cache_dir={tmp_path / 'cache'}"
    flags = [*FOLDER, f"--data.root={tmp_path / root}", cache, *flags]
    assert re.search(expected, _refusal(_arguments(tmp_path / "runs", 1, *flags), capsys))


@pytest.mark.parametrize("flags", [["--data.root=gone"], ["--data.root=videos", "--data.resolution=5"]])
def test_a_run_that_finds_no_data_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _frames(tmp_path / "videos" / "a", 8)
    _refusal(_arguments(tmp_path / "runs", 1, *FOLDER, *flags), capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["videos"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--ckpt_path", "last"], r"tiny/last\.ckpt: no checkpoint there"),
        (["--ckpt_path", "nowhere.ckpt"], r"nowhere\.ckpt: no checkpoint there"),
        (["--ckpt_path", str(TINY)], r"tiny\.yaml: not a checkpoint"),
        (["--model.total_kim=3"], r"model\.total_kim: no such option of .*VideoGAN: did you mean total_kimg\?"),
        (["--model.generator.z_dimm=3"], r"model\.generator\.z_dimm: .* did you mean z_dim\?"),
        (["--model.generator.resolution=7"], r"resolution 7x7"),
        (["--model.freeze_d=-1"], r"freeze_d -1: .* 0 to 10 layers"),
        (["--model.g_optimizer=torch.optim.Adam", "--model.g_optimizer.lr=-1"], r"model\.g_optimizer: .*rate: -1\.0"),
        (["--trainer.max_stps=3"], r"trainer\.max_stps: no such option: did you mean trainer\.max_steps\?"),
        (["--run_nam=x"], r"run_nam: no such option: did you mean run_name\?"),
        (["--run_name=../x"], r"run_name: '\.\./x'"),
        (["--data.batch_size=many"], r"data\.batch_size: .*many"),
        (["--checkpointing.every_updates=0"], r"checkpointing\.every_updates: 0"),
        (["--trainer.default_root_dir=x"], r"trainer\.default_root_dir: .* --runs_dir and --run_name"),
        (["--trainer.accelerator=gpux"], r"gpux"),
        (["--config", "gone.yaml"], r"gone\.yaml"),
    ],
)
def test_a_command_that_cannot_be_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture, flags: list[str], expected: str
) -> None:
    assert re.search(expected, _refusal(_arguments(tmp_path, 1, *flags), capsys))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("total_kimg: 0.048", r"model\.total_kimg2: no such option of .*: did you mean total_kimg\?"),
        ("model:", r"mdel.*: no such option: did you mean model\?"),
        ("num_frequencies: 8", r"model\.generator\.motion\.num_frequencies2: .*did you mean num_frequencies\?"),
        ("  callbacks:", r"trainer\.callbacks2: no such option: did you mean trainer\.callbacks\?"),
    ],
)
def test_a_typo_in_a_config(tmp_path: Path, capsys: pytest.CaptureFixture, changed: str, expected: str) -> None:
    name = changed.partition(":")[0]
    wrong = "mdel" if name == "model" else f"{name}2"
    config = tmp_path / "wrong.yaml"
    config.write_text(TINY.read_text().replace(changed, changed.replace(name, wrong), 1))
    assert re.search(expected, _refusal(["fit", "--config", str(config), "--runs_dir", str(tmp_path)], capsys))
    assert not (tmp_path / "wrong").exists()  # refused before anything was made


def test_a_config_that_is_no_yaml(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    config = tmp_path / "broken.yaml"
    config.write_text("model: [unclosed\n")
    for flags in (["--config", str(config)], [f"--config={config}"]):
        assert re.search(r"broken\.yaml: Problems parsing config", _refusal(["fit", *flags], capsys))


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "file").touch()
    line = _refusal(_arguments(tmp_path / "file" / "runs", 1), capsys)
    assert re.search(r"file/runs.*: a part of the path is a file", line)


def test_a_folder_that_holds_a_run(whole: Path, capsys: pytest.CaptureFixture) -> None:
    assert "holds a run already: continue it with --ckpt_path last" in _refusal(_arguments(whole, 4), capsys)


def test_a_checkpoint_of_another_architecture(whole: Path, capsys: pytest.CaptureFixture) -> None:
    flags = ["--ckpt_path", "last", "--model.generator.w_dim=8"]
    line = _refusal(_arguments(whole, 4, *flags), capsys)
    assert re.search(r"last\.ckpt: a checkpoint of another architecture: generator\.\S+ is \[.*16.*\] there and", line)


def test_a_full_disk_keeps_the_old_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fit(tmp_path, 1)
    before = (tmp_path / "tiny" / "last.ckpt").read_bytes()

    def full(checkpoint: Any, file: Any) -> None:
        file.write(b"a part")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    line = _refusal(_arguments(tmp_path, 2, "--ckpt_path", "last"), capsys)
    assert re.search(r"tiny/last\.ckpt: the disk is full", line)
    assert (tmp_path / "tiny" / "last.ckpt").read_bytes() == before
    assert list((tmp_path / "tiny").glob(".*")) == []


def _moving(checkpoint: dict[str, Any]) -> set[str]:
    """The parameters that the discriminator's optimiser moves."""
    return set(checkpoint["optimizer_states"][1]["param_groups"][0]["param_names"])


def test_resuming_with_frozen_layers(tmp_path: Path, whole: Path) -> None:
    shutil.copytree(whole / "tiny", tmp_path / "tiny")
    before = torch.load(tmp_path / "tiny" / "last.ckpt", weights_only=True)
    after = _fit(tmp_path, 8, "--ckpt_path", "last", "--model.freeze_d=3")
    assert after["counters"]["updates"] == 8
    frozen = {name for name in _moving(before) if name.startswith(("fromrgb.", "blocks.b32.conv"))}
    assert _moving(before) - _moving(after) == frozen
    for name in _moving(before):
        values = [checkpoint["state_dict"][f"discriminator.{name}"] for checkpoint in (before, after)]
        assert torch.equal(*values) == (name in frozen), name
    # Four updates with R1 in the first, then four without: what still moves counts on.
    assert {int(state["step"]) for state in after["optimizer_states"][1]["state"].values()} == {5 + 4}


# Fine-tuning: a new run from the weights of another


def _tuned(runs: Path, updates: int, source: Path, *flags: str) -> dict[str, Any]:
    start = ["--run_name", "tuned", "--model.init_from", str(source), "--trainer.log_every_n_steps=1"]
    train.main(_arguments(runs, updates, *start, *flags))
    return torch.load(runs / "tuned" / "last.ckpt", weights_only=True)


def test_fine_tuning_starts_a_new_run_from_the_weights_of_another(tmp_path: Path, whole: Path) -> None:
    still = [f"--model.{net}_optimizer.lr=0" for net in "gd"]
    tuned = _tuned(tmp_path, 1, whole / "tiny", *still)
    source = torch.load(whole / "tiny" / "last.ckpt", weights_only=True)
    for name, value in source["state_dict"].items():
        if name.startswith(("generator.", "discriminator.")) and not name.endswith("w_avg"):
            assert torch.equal(tuned["state_dict"][name], value), name
    w_avg = [checkpoint["state_dict"]["generator.mapping.w_avg"] for checkpoint in (source, tuned)]
    assert (w_avg[1] - 0.995 * w_avg[0]).norm() < 0.005 * 2 * 16**0.5  # moved by one update, 0.5% of a style
    assert tuned["counters"] | {"bad_in_a_row": {}} == {
        **{"updates": 1, "num_clips": 4, "num_frames": 12, "past_clips": 16},
        "bad_in_a_row": {},
    }
    assert {int(state["step"]) for state in tuned["optimizer_states"][0]["state"].values()} == {1}
    table = (tmp_path / "tuned" / "init_from.csv").read_text().splitlines()
    assert table[0] == "network,tensor,outcome,old shape,new shape,how"
    assert {line.split(",")[2] for line in table[1:]} == {"taken"}
    config = yaml.safe_load((tmp_path / "tuned" / "config.yaml").read_text())
    assert config["model"]["init_args"]["init_from"] == str(whole / "tiny")


def test_a_resumed_fine_tuning_run_equals_one_in_one_go_bit_for_bit(
    tmp_path: Path, whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Other labels, frames and times: what starts anew is the same too.
    other = ["--model.freeze_d=1", "--model.ema_rampup=0.5", *OTHER_NETWORKS]
    expected = _tuned(tmp_path / "whole", 4, whole / "tiny", *other)
    source = tmp_path / "source"
    shutil.copytree(whole / "tiny", source)
    _tuned(tmp_path / "parts", 2, source, *other)
    shutil.rmtree(source)  # a run that has begun does without it
    caplog.clear()
    with caplog.at_level("INFO"):
        resumed = _tuned(tmp_path / "parts", 4, source, *other, "--ckpt_path", "last")
    assert f"init_from {source}: not read" in caplog.text
    _assert_same_state(resumed, expected)
    assert resumed["counters"]["past_clips"] == 16


OTHER_NETWORKS = [
    "--data.labelled=true",
    "--model.generator.c_dim=4",
    "--model.generator.motion.c_dim=4",
    "--model.discriminator.conditioning.c_dim=4",
    "--model.discriminator.conditioning.num_frames=2",
    "--data.frame_sampler.num_frames=2",
    "--model.discriminator.mbstd_group_size=2",
]


def test_fine_tuning_with_frozen_layers_and_rates_of_its_own(tmp_path: Path, whole: Path) -> None:
    flags = ["--model.freeze_d=3", "--model.g_optimizer.lr=1e-3", "--model.d_optimizer.lr=5e-4"]
    tuned = _tuned(tmp_path, 2, whole / "tiny", *flags)
    source = torch.load(whole / "tiny" / "last.ckpt", weights_only=True)
    for name in _moving(source):
        values = [checkpoint["state_dict"][f"discriminator.{name}"] for checkpoint in (source, tuned)]
        assert torch.equal(*values) == (name not in _moving(tuned)), name
    assert _moving(source) - _moving(tuned) == {
        *(f"fromrgb.{name}" for name in ("weight", "bias")),
        *(f"blocks.b32.conv{n}.{name}" for n in (0, 1) for name in ("weight", "bias")),
        *(f"blocks.b32.conv0.affine.{name}" for name in ("weight", "bias")),
    }
    rates = [optimiser["param_groups"][0]["lr"] for optimiser in tuned["optimizer_states"]]
    assert rates == [pytest.approx(1e-3 * 4 / 5), pytest.approx(5e-4 * 16 / 17)]


def test_what_fine_tuning_says(tmp_path: Path, whole: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        _tuned(tmp_path, 1, whole / "tiny", *OTHER_NETWORKS)
    (told,) = [record.getMessage() for record in caplog.records if "started from" in record.getMessage()]
    lines = told.splitlines()
    assert lines[0] == f"started from {whole / 'tiny' / 'last.ckpt'}"
    assert re.fullmatch(r"discriminator: \d+ taken, \d+ adapted, \d+ new", lines[3])
    assert (
        "  discriminator: adapted, 3 -> 2 frames: blocks.b16.conv0, blocks.b16.conv0.affine, blocks.b16.skip" in lines
    )
    assert len(lines) <= 21


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--model.init_from=gone"], r"gone: no such file or folder"),
        (["--model.init_from", "{tiny}"], r"lies in this run's own folder: --ckpt_path last continues this run"),
        (
            ["--model.init_from", "{other}"],
            r"holds a run already: continue it with --ckpt_path last, or choose another",
        ),
        (["--run_name=x", "--ckpt_path", "{tiny}"], r"a checkpoint of the run tiny, .*init_from \S+ starts a new run"),
        (["--ckpt_path", "{weights}"], r"--ckpt_path \S+: a file of weights, not the state of a run: .*init_from"),
        (["--run_name=x", "--model.init_from", "{boring}"], r"config names no model|holds no generator"),
    ],
)
def test_fine_tuning_and_resuming_are_not_taken_for_each_other(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture, flags: list[str], expected: str
) -> None:
    weights, boring = tmp_path / "weights.safetensors", tmp_path / "boring.ckpt"
    weights.write_bytes(b"none")
    torch.save({"state_dict": {}, "config": "model: {class_path: a.B, init_args: {}}"}, boring)
    paths = {"tiny": whole / "tiny", "other": boring, "weights": weights, "boring": boring}
    arguments = _arguments(whole, 4, *(flag.format(**paths) for flag in flags))
    assert re.search(expected, _refusal(arguments, capsys))


@pytest.mark.slow
def test_two_processes_fine_tune_like_one(tmp_path: Path, whole: Path) -> None:
    flags = ["--run_name=tuned", "--model.init_from", str(whole / "tiny"), *OTHER_NETWORKS]
    for devices in ("1", "2"):
        arguments = _arguments(tmp_path / devices, 1, *flags, f"--trainer.devices={devices}", "--model.augment=null")
        subprocess.run([sys.executable, "train.py", *arguments, "--model.ada=null"], cwd=ROOT, check=True, timeout=240)
    one, two = (torch.load(tmp_path / n / "tuned" / "last.ckpt", weights_only=True)["state_dict"] for n in "12")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("arguments", [[], ["train"], ["fit"]])
def test_an_incomplete_command(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    assert _refusal(arguments, capsys)


@pytest.mark.parametrize("arguments", [["--help"], ["fit", "--help"]])
def test_help_answers(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        train.main(arguments)
    assert not ended.value.code
    assert ("--run_name" in capsys.readouterr().out) == ("fit" in arguments)


def test_what_a_run_prints(tmp_path: Path) -> None:
    command = [sys.executable, "train.py", "fit", "--config", str(TINY), "--runs_dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    folder = re.escape(str(tmp_path / "tiny"))
    expected = [
        r"Seed set to 0",
        r"GPU available: \w+.*, used: False",
        rf"{folder}: parameters that move: generator 0\.0217 M, discriminator 0\.0453 M",
        r"update 1  kimg 0\.012/0\.048  .*",
        *([r"update [23]  .*"] * (len(done.stdout.splitlines()) - 6)),  # on a slow machine
        r"update 4  kimg 0\.048/0\.048  .*loss/g .*loss/d .*",
        rf"saved {folder}/last\.ckpt",
    ]
    assert re.fullmatch("\n".join(expected) + "\n", done.stdout), done.stdout


# Processes that end in the middle.

_STALLS_AT_THE_SECOND_CHECKPOINT = """
import sys, time
import torch
import train

original, saved = torch.save, []
def stalling(checkpoint, file):
    saved.append(checkpoint)
    original(checkpoint, file)
    if len(saved) == 2:
        file.flush()
        print("writing", flush=True)
        time.sleep(600)
torch.save = stalling
train.main(sys.argv[1:])
"""


@pytest.mark.slow
def test_sigkill_while_a_checkpoint_is_written(tmp_path: Path, whole: Path) -> None:
    arguments = _arguments(tmp_path, 4, "--checkpointing.every_updates=2")
    command = [sys.executable, "-c", _STALLS_AT_THE_SECOND_CHECKPOINT, *arguments]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert run.stdout is not None
    assert any("writing" in line for line in run.stdout)
    run.send_signal(signal.SIGKILL)
    run.wait()
    folder = tmp_path / "tiny"
    assert torch.load(folder / "last.ckpt", weights_only=True)["counters"]["updates"] == 2
    assert [path.name for path in folder.glob(".*")] == [f".last.ckpt.{run.pid}.tmp"]

    resumed = _fit(tmp_path, 4, "--ckpt_path", "last")

    _assert_same_state(resumed, torch.load(whole / "tiny" / "last.ckpt", weights_only=True))
    assert list(folder.glob(".*")) == []


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_reaches_the_loader_workers_too(tmp_path: Path) -> None:
    arguments = _arguments(tmp_path, 100_000, "--data.num_workers=1", "--progress.line_seconds=0")
    run = subprocess.Popen(
        [sys.executable, "train.py", *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert run.stderr is not None
    assert any(line.startswith("update 3 ") for line in run.stderr)
    time.sleep(0.2)
    os.killpg(run.pid, signal.SIGINT)
    printed = run.communicate()[1]
    assert run.returncode == 130, printed
    assert "finishing this update" in printed and "continue with the same command and --ckpt_path last" in printed
    assert "Traceback" not in printed
    assert torch.load(tmp_path / "tiny" / "last.ckpt", weights_only=True)["counters"]["updates"] >= 3
