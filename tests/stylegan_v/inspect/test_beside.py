from __future__ import annotations

import shutil
from pathlib import Path

import torch

from stylegan_v.inspect.opening import open_contents
from stylegan_v.weights import write_weights
from tests.stylegan_v.inspect.files import FACTS, networks_of


def checkpoint_of(run: Path) -> dict:
    return torch.load(run / "last.ckpt", weights_only=True)


def test_what_stands_beside_a_checkpoint_and_whether_it_agrees(run: Path) -> None:
    assert open_contents(run).beside == {"config.yaml": "as in the checkpoint", "generator.safetensors": "none"}
    networks = {"generator_ema": networks_of(checkpoint_of(run))["generator_ema"]}
    write_weights(run / "generator.safetensors", networks, FACTS)
    shutil.copy(run / "last.ckpt", run / "kimg000000.024.ckpt")
    (run / "config.yaml").write_text("model: null\n")
    beside = open_contents(run).beside
    assert beside["config.yaml"] == "differs from the checkpoint"
    assert "cannot be read" in beside["generator.safetensors"]
    assert beside["kept checkpoints"] == "kimg000000.024.ckpt"

    (run / "config.yaml").write_text(checkpoint_of(run)["config"])
    assert open_contents(run).beside["generator.safetensors"] == "of the same update"
    kept = open_contents(run / "kimg000000.024.ckpt").beside
    assert kept == {
        "config.yaml": "as in the checkpoint",
        "last.ckpt": "of the same update",
        "generator.safetensors": "of the same update",
        "kimg000000.024.safetensors": "none",
    }
    write_weights(run / "generator.safetensors", networks, FACTS | {"updates": 1200})
    assert open_contents(run).beside["generator.safetensors"] == "of another update: 1,200"
    assert open_contents(run / "generator.safetensors").beside["last.ckpt"] == "of another update: 4"
    write_weights(run / "generator.safetensors", networks, {})
    assert open_contents(run).beside["generator.safetensors"] == "of an unknown update"


def test_kept_checkpoint_and_its_light_file_know_each_other(run: Path) -> None:
    shutil.copy(run / "last.ckpt", run / "kimg000000.024.ckpt")
    networks = {"generator_ema": networks_of(checkpoint_of(run))["generator_ema"]}
    write_weights(run / "kimg000000.024.safetensors", networks, FACTS | {"updates": 2})
    (run / "init_from.csv").write_text("name\n")
    beside = open_contents(run / "kimg000000.024.ckpt").beside
    assert beside["kimg000000.024.safetensors"] == "of another update: 2"
    assert "what became of each tensor" in beside["init_from.csv"]
    assert open_contents(run / "kimg000000.024.safetensors").beside["kimg000000.024.ckpt"] == "of another update: 4"
