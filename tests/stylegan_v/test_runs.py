from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
import yaml
from jsonargparse import Namespace
from pytorch_lightning import Trainer
from pytorch_lightning.cli import LightningArgumentParser
from pytorch_lightning.demos.boring_classes import BoringModel
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from errors import InputError
from stylegan_v import runs
from stylegan_v.runs import AtomicCheckpointIO, Curves, RunConfig, RunParser, prepare_folder, remove_empty


def test_a_fresh_folder_is_made(tmp_path: Path) -> None:
    made = prepare_folder(tmp_path / "runs" / "a", resuming=False)
    assert list((tmp_path / "runs" / "a").iterdir()) == []
    assert made == [tmp_path / "runs" / "a", tmp_path / "runs"]
    assert prepare_folder(tmp_path / "runs" / "a", resuming=False) == []


def test_of_the_folders_made_only_empty_ones_are_removed(tmp_path: Path) -> None:
    made = prepare_folder(tmp_path / "runs" / "sweep" / "a", resuming=False)
    (tmp_path / "runs" / "notes").touch()
    remove_empty(made)
    assert [path.name for path in tmp_path.rglob("*")] == ["runs", "notes"]


def test_a_folder_that_takes_no_files_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(runs.tempfile, "TemporaryFile", full)
    with pytest.raises(OSError, match="No space") as caught:
        prepare_folder(tmp_path / "runs" / "a", resuming=False)
    assert caught.value.filename == str(tmp_path / "runs" / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_a_run_is_only_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"state")
    with pytest.raises(InputError, match=r"holds a run already: continue it with --ckpt_path last"):
        prepare_folder(tmp_path, resuming=False)
    prepare_folder(tmp_path, resuming=True)
    # A requeued SLURM job starts with the same command; Lightning then resumes the state it saved before.
    (tmp_path / "hpc_ckpt_1.ckpt").touch()
    with pytest.raises(InputError, match="holds a run already"):
        prepare_folder(tmp_path, resuming=False)
    monkeypatch.setattr(runs.SLURMEnvironment, "detect", lambda: True)
    prepare_folder(tmp_path, resuming=False)
    assert (tmp_path / "last.ckpt").read_bytes() == b"state"


def test_what_was_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / "samples" / ".frames-1a2b.tmp").mkdir(parents=True)
    for name in (".last.ckpt.123.tmp", "samples/.real.mp4-1a2b.tmp", "samples/real.mp4", "notes.tmp"):
        (tmp_path / name).touch()
    prepare_folder(tmp_path, resuming=False)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == ["notes.tmp", "samples", "samples/real.mp4"]


def test_processes_that_begin_differently_are_told_apart() -> None:
    runs.check_same_start(["last.ckpt", "last.ckpt"])
    runs.check_same_start([None])
    with pytest.raises(InputError, match=r"rank 0 starts from last\.ckpt, rank 2 from nothing"):
        runs.check_same_start(["last.ckpt", "last.ckpt", None])


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(InputError, match="a: is a file"):
        prepare_folder(tmp_path / "a", resuming=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="everything is writable for root")
def test_a_folder_that_cannot_be_written_is_an_error_before_training(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        prepare_folder(tmp_path, resuming=False)


@pytest.mark.parametrize(
    ("name", "configs", "expected"),
    [
        (None, ["a/first.yaml", "b/second.yaml"], "second"),
        ("mine", ["a/first.yaml"], "mine"),
        ("sweep/one", None, "sweep/one"),
    ],
)
def test_run_name(name: str | None, configs: list[str] | None, expected: str) -> None:
    assert runs._run_name(name, configs) == expected


@pytest.mark.parametrize("name", ["/abs", "..", "a/../b", "", ".", None])
def test_a_run_name_stays_inside_the_folder_of_runs(name: str | None) -> None:
    with pytest.raises(InputError, match="run_name"):
        runs._run_name(name, [])


def _parser() -> LightningArgumentParser:
    parser = LightningArgumentParser()
    parser.add_argument("--value", type=int, default=1)
    parser.add_argument("--ckpt_path", type=str | None)
    return parser


def _run_config(value: int, trainer: Trainer) -> RunConfig:
    config = RunConfig(_parser(), Namespace(value=value, ckpt_path="somewhere"))
    config.setup(trainer, BoringModel(), "fit")
    return config


@pytest.mark.filterwarnings("error::DeprecationWarning")
def test_the_config_is_saved_and_an_earlier_one_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "all")  # not only the first of each
    trainer = Trainer(default_root_dir=tmp_path, logger=False, enable_checkpointing=False, accelerator="cpu")
    for value in (1, 1, 2, 3):
        config = _run_config(value, trainer)
    saved = {path.name: yaml.safe_load(path.read_text()) for path in tmp_path.glob("*.yaml")}
    assert saved == {
        "config.yaml": {"value": 3, "ckpt_path": None},
        "config.1.yaml": {"value": 1, "ckpt_path": None},
        "config.2.yaml": {"value": 2, "ckpt_path": None},
    }
    checkpoint: dict[str, str] = {}
    config.on_save_checkpoint(trainer, BoringModel(), checkpoint)
    assert yaml.safe_load(checkpoint["config"]) == {"value": 3, "ckpt_path": None}


@pytest.mark.parametrize("others", [None, "last.ckpt (step 6)"])
def test_a_process_that_goes_on_elsewhere_than_the_others_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: str | None
) -> None:
    torch.save({"global_step": 7, "state_dict": {}, "counters": {}}, tmp_path / "last.ckpt")
    monkeypatch.setattr(runs, "num_ranks", lambda: 2)
    monkeypatch.setattr(runs, "gathered", lambda value: [value, others])
    trainer = Trainer(default_root_dir=tmp_path, logger=False, enable_checkpointing=False, accelerator="cpu")
    config = RunConfig(_parser(), Namespace(value=1, ckpt_path=str(tmp_path / "last.ckpt")))
    with pytest.raises(InputError) as refused:
        config.setup(trainer, BoringModel(), "fit")
    assert f"rank 0 starts from last.ckpt (step 7), rank 1 from {others or 'nothing'}:" in str(refused.value)


def test_only_training_saves_its_config(tmp_path: Path) -> None:
    trainer = Trainer(default_root_dir=tmp_path, logger=False, enable_checkpointing=False, accelerator="cpu")
    RunConfig(_parser(), Namespace(value=1, ckpt_path=None)).setup(trainer, BoringModel(), "validate")
    assert list(tmp_path.iterdir()) == []


def _values(folder: Path) -> list[float]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.value for event in events.Scalars("a")]


def test_curves_are_on_the_disk_once_saved_with_hyperparameters_only_where_there_are_some(tmp_path: Path) -> None:
    curves = Curves(tmp_path, "run", version="", default_hp_metric=False)
    curves.log_metrics({"a": 0.5}, step=1)
    curves.save()
    assert _values(tmp_path / "run") == [0.5]
    assert {path.name.partition(".")[0] for path in (tmp_path / "run").iterdir()} == {"events"}
    curves.log_hyperparams({"width": 3})
    curves.save()
    assert yaml.safe_load((tmp_path / "run" / "hparams.yaml").read_text()) == {"width": 3}


def test_checkpoint_io_writes_reads_and_removes(tmp_path: Path) -> None:
    io, path = AtomicCheckpointIO(), tmp_path / "new" / "a.ckpt"
    io.save_checkpoint({"state_dict": {"a": torch.arange(3)}}, path)
    assert io.load_checkpoint(str(path))["state_dict"]["a"].tolist() == [0, 1, 2]
    io.remove_checkpoint(path)
    assert list(path.parent.iterdir()) == []


def test_the_parser_names_the_key_and_takes_no_shortened_flag() -> None:
    parser = RunParser()
    parser.add_argument("--run_name")
    with pytest.raises(InputError, match=r"^run_nam: no such option: did you mean run_name\?$"):
        parser.parse_args(["--run_nam", "x"])


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (InputError("resolution: too small"), InputError),
        (ValueError("c_dim must agree"), InputError),
        (FileNotFoundError(2, "no such file", "x"), FileNotFoundError),
        (TypeError("a bug"), ValueError),
    ],
)
def test_what_a_constructor_says_comes_to_light(raised: Exception, expected: type[Exception]) -> None:
    @runs._constructor_errors()
    def instantiate() -> None:
        try:
            raise raised
        except Exception as error:
            raise ValueError("Does not validate against any of the Union subtypes\nSubtypes: ...") from error

    with pytest.raises(expected) as caught:
        instantiate()
    assert str(raised) in (str(caught.value), str(caught.value.__cause__))
