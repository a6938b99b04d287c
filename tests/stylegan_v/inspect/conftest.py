"""Files to look at: a run that was trained for a moment, and its networks in other forms."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch

import train
from stylegan_v.official.conversion import convert
from stylegan_v.official.snapshot import Snapshot, read_snapshot
from stylegan_v.official.state_file import write_state
from stylegan_v.weights import Weights, write_weights
from tests.stylegan_v.inspect.files import CONFIG, FACTS, SNAPSHOT, networks_of


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of four updates; not to be changed."""
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py"])
        train.main(["fit", "--config", str(CONFIG), "--runs_dir", str(runs), "--trainer.callbacks=null"])
    return runs / "tiny"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run with nothing but its checkpoint and config."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("last.ckpt", "config.yaml"):
        shutil.copy(trained / name, folder)
    return folder


@pytest.fixture
def model_folder(run: Path, tmp_path: Path) -> Path:
    """A folder with model.safetensors and its config."""
    folder = tmp_path / "model"
    folder.mkdir()
    shutil.copy(run / "config.yaml", folder)
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    write_weights(folder / "model.safetensors", networks_of(checkpoint), FACTS)
    return folder


@pytest.fixture
def generator_file(run: Path, tmp_path: Path) -> Path:
    """A generator.safetensors with its config beside it."""
    folder = tmp_path / "generator"
    folder.mkdir()
    shutil.copy(run / "config.yaml", folder)
    networks = networks_of(torch.load(run / "last.ckpt", weights_only=True))
    write_weights(folder / "generator.safetensors", {"generator_ema": networks["generator_ema"]}, FACTS)
    return folder / "generator.safetensors"


@pytest.fixture(scope="session")
def snapshot() -> Snapshot:
    """The recorded snapshot of the original, read once; not to be changed."""
    if not SNAPSHOT.is_file():
        pytest.skip(f"the set {SNAPSHOT.parent} has no {SNAPSHOT.name}")
    return read_snapshot(SNAPSHOT)


@pytest.fixture(scope="session")
def converted(snapshot: Snapshot) -> Weights:
    """Its networks under our names; not to be changed."""
    return convert(snapshot)[0]


@pytest.fixture
def state_file(converted: Weights, tmp_path: Path) -> Path:
    """Its networks in a file of the original's names."""
    write_state(tmp_path / "state.safetensors", converted)
    return tmp_path / "state.safetensors"
