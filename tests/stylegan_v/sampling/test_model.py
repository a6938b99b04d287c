from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from errors import InputError
from generate_options import Options
from stylegan_v.pretrained import load_generator, read_model
from stylegan_v.rendering import draw_latents
from stylegan_v.sampling.latents import Video
from stylegan_v.sampling.model import Model, open_model, pick_device, training_fps
from tests.generate_runs import make_run


def opened(folder: Path, **options: object) -> Model:
    return open_model(Options(ckpt=str(folder), device="cpu", **options))


def test_a_model_is_told_by_its_file_and_not_by_its_place(tmp_path: Path) -> None:
    run = make_run(tmp_path / "one" / "run")
    model = opened(run)
    moved = tmp_path / "elsewhere"
    run.rename(moved)
    again = opened(moved)
    assert model.checkpoint == again.checkpoint == hashlib.sha256((moved / "last.ckpt").read_bytes()).hexdigest()
    assert model.origin["checkpoint"]["path"] == "run/last.ckpt"
    assert again.origin["checkpoint"]["path"] == "elsewhere/last.ckpt"
    assert model.origin["versions"]["torch"] == torch.__version__ and model.origin["device"] == "cpu"


def test_settings_hold_what_decides_and_aside_what_does_not(tmp_path: Path) -> None:
    model = opened(make_run(tmp_path / "run"), truncation_psi=0.5)
    settings = model.settings("sample", fps=3)
    assert settings.pop("made_with") == model.origin
    assert settings == {
        "command": "sample",
        "checkpoint": {"sha256": model.checkpoint},
        "truncation_psi": 0.5,
        "fps": 3,
    }


def test_latents_are_those_of_the_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", c_dim=4)
    model = opened(run, truncation_psi=0.5, label="1,3")
    found = model.latents([Video(2, 5), Video(2, 6)], labels=model.turns(2))
    expected = draw_latents(load_generator(run), 2, [5, 6], c=torch.eye(4)[[1, 3]], truncation_psi=0.5)
    torch.testing.assert_close(found.ws, expected.ws)
    assert torch.equal(found.c, expected.c)


def test_labels_are_taken_in_turn(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", c_dim=4)
    model = opened(run, label="2,0-1")
    assert model.turns(4) == [2, 0, 1, 2] and model.turns(2, first=5) == [1, 2]
    assert opened(run, label=3).turns(2) == [3, 3] and opened(run).turns(2) == []
    with pytest.raises(InputError, match="label: the model has no class 4: its classes are 0 to 3"):
        opened(run, label="0-4")
    with pytest.raises(InputError, match=r"label: .* give whole numbers"):
        opened(run, label="cat")


def test_classes_of_a_model_without_labels(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="label: the model has no class 0: it was trained without labels"):
        opened(make_run(tmp_path / "run"), label=0)


def test_the_clock_of_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run")
    assert opened(run).data_fps == 10 and opened(run, data_fps=12.5).data_fps == 12.5
    assert capsys.readouterr().err == ""
    old = make_run(tmp_path / "old", data_state={"update": 0})
    assert training_fps(read_model(old)) == opened(old).data_fps == 25
    assert "--data_fps" in capsys.readouterr().err


def test_devices_that_are_not_there() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(InputError, match="device: abacus is not there"):
        pick_device("abacus")
