from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback

from stylegan_v.callbacks import Checkpointing
from tests.stylegan_v import tiny_gan


def _saved(folder: Path) -> dict[str, int]:
    return {
        path.name: torch.load(path, weights_only=True)["counters"]["updates"] for path in sorted(folder.glob("*.ckpt"))
    }


class _Note(Callback):
    """Remembers what was saved after each update."""

    def __init__(self) -> None:
        self.last: list[int | None] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        self.last.append(_saved(Path(trainer.default_root_dir)).get("last.ckpt"))


def test_last_follows_the_updates_and_snapshots_the_frames(tmp_path: Path) -> None:
    note = _Note()
    checkpointing = Checkpointing(every_updates=2, keep_every_kimg=0.030)  # 12 frames per update
    trainer = tiny_gan.trainer(tmp_path, checkpointing, note, tiny_gan.StopAfter(5))
    trainer.fit(tiny_gan.gan(), tiny_gan.data())
    assert note.last == [None, 2, 2, 4, 4]
    assert _saved(tmp_path) == {"kimg000000.036.ckpt": 3, "kimg000000.060.ckpt": 5, "last.ckpt": 5}


def test_a_resumed_run_keeps_the_rhythm_and_rewrites_nothing(tmp_path: Path) -> None:
    for updates in (4, 7):
        checkpointing = Checkpointing(every_updates=100, keep_every_kimg=0.030)
        trainer = tiny_gan.trainer(tmp_path, checkpointing, tiny_gan.StopAfter(updates))
        trainer.fit(tiny_gan.gan(), tiny_gan.data(), ckpt_path=tmp_path / "last.ckpt" if updates > 4 else None)
    assert _saved(tmp_path) == {"last.ckpt": 7, "kimg000000.036.ckpt": 3, "kimg000000.060.ckpt": 5}


class _Sigterm(Callback):
    def on_train_batch_start(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        if pl_module.updates == 1:
            os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_saves_after_the_update(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        tiny_gan.trainer(tmp_path, Checkpointing(), _Sigterm()).fit(tiny_gan.gan(), tiny_gan.data())
    assert _saved(tmp_path) == {"last.ckpt": 2}


class _Failure(Callback):
    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        raise ZeroDivisionError


def test_an_error_saves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        tiny_gan.trainer(tmp_path, Checkpointing(), _Failure()).fit(tiny_gan.gan(), tiny_gan.data())
    assert _saved(tmp_path) == {}


def test_a_trial_run_saves_nothing(tmp_path: Path) -> None:
    tiny_gan.trainer(tmp_path, Checkpointing(1), fast_dev_run=True).fit(tiny_gan.gan(), tiny_gan.data())
    assert _saved(tmp_path) == {}
