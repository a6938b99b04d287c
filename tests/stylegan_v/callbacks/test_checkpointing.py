from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.demos.boring_classes import BoringModel
from safetensors import safe_open

from stylegan_v.callbacks import Checkpointing
from tests.stylegan_v import tiny_gan


def _saved(folder: Path) -> dict[str, int]:
    return {
        path.name: torch.load(path, weights_only=True)["counters"]["updates"] for path in sorted(folder.glob("*.ckpt"))
    }


def _facts(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["facts"])


def _light(folder: Path) -> dict[str, int]:
    return {path.name: _facts(path)["updates"] for path in sorted(folder.glob("*.safetensors"))}


class _Note(Callback):
    """Remembers what was saved after each update."""

    def __init__(self) -> None:
        self.last: list[int | None] = []
        self.light: list[int | None] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        self.last.append(_saved(Path(trainer.default_root_dir)).get("last.ckpt"))
        self.light.append(_light(Path(trainer.default_root_dir)).get("generator.safetensors"))


def test_last_follows_the_updates_and_snapshots_the_frames(tmp_path: Path) -> None:
    note = _Note()
    checkpointing = Checkpointing(every_updates=2, keep_every_kimg=0.030)  # 12 frames per update
    trainer = tiny_gan.trainer(tmp_path, checkpointing, note, tiny_gan.StopAfter(5))
    trainer.fit(tiny_gan.gan(), tiny_gan.data())
    assert note.last == note.light == [None, 2, 2, 4, 4]
    assert _saved(tmp_path) == {"kimg000000.036.ckpt": 3, "kimg000000.060.ckpt": 5, "last.ckpt": 5}


def test_every_checkpoint_has_a_light_file_of_the_same_update_and_weights(tmp_path: Path) -> None:
    checkpointing = Checkpointing(every_updates=2, keep_every_kimg=0.030)
    trainer = tiny_gan.trainer(tmp_path, checkpointing, tiny_gan.StopAfter(5))
    trainer.fit(tiny_gan.gan(augmented=True), tiny_gan.data())
    light = {"kimg000000.036.safetensors": 3, "kimg000000.060.safetensors": 5, "generator.safetensors": 5}
    assert _light(tmp_path) == light
    for name in light:
        heavy = (tmp_path / name.replace("generator", "last")).with_suffix(".ckpt")
        state = torch.load(heavy, weights_only=True)["state_dict"]
        expected = {name: tensor for name, tensor in state.items() if name.startswith("generator_ema.")}
        with safe_open(tmp_path / name, framework="pt") as file:
            assert set(file.keys()) == set(expected)
            assert all(torch.equal(file.get_tensor(name), tensor) for name, tensor in expected.items())
        facts = _facts(tmp_path / name)
        assert facts["augment_p"] == float(state["ada.p"])
        counted = {"updates": light[name], "num_clips": 4 * light[name], "num_frames": 12 * light[name], "fps": 25.0}
        assert facts == counted | {"augment_p": facts["augment_p"]}


def test_a_module_that_names_no_weights_for_use_has_no_light_file(tmp_path: Path) -> None:
    settings = {"max_epochs": None, "max_steps": 2, "limit_val_batches": 0}
    tiny_gan.trainer(tmp_path, Checkpointing(1), **settings).fit(BoringModel())
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


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
    assert _light(tmp_path) == {"generator.safetensors": 2}


class _Failure(Callback):
    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        raise ZeroDivisionError


def test_an_error_saves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        tiny_gan.trainer(tmp_path, Checkpointing(), _Failure()).fit(tiny_gan.gan(), tiny_gan.data())
    assert _saved(tmp_path) == _light(tmp_path) == {}


def test_a_trial_run_saves_nothing(tmp_path: Path) -> None:
    tiny_gan.trainer(tmp_path, Checkpointing(1), fast_dev_run=True).fit(tiny_gan.gan(), tiny_gan.data())
    assert _saved(tmp_path) == _light(tmp_path) == {}


@pytest.mark.parametrize(("first", "written"), [(True, ["generator.safetensors"]), (False, [])])
def test_only_the_first_rank_writes_the_light_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool, written: list[str]
) -> None:
    monkeypatch.setattr(Trainer, "is_global_zero", property(lambda self: first))
    tiny_gan.trainer(tmp_path, Checkpointing(), tiny_gan.StopAfter(1)).fit(tiny_gan.gan(), tiny_gan.data())
    assert [path.name for path in tmp_path.glob("*.safetensors")] == written
