"""`train.py` with fields: a module whose shapes follow from its data trains, resumes and is measured like any other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import train

CONFIGS = Path(__file__).parents[1] / "configs" / "fields"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames of a wave that moves."""
    folder = tmp_path_factory.mktemp("video")
    y, x = np.mgrid[:16, :20]
    for time in range(10):
        frame = np.stack([np.sin(x / 4 + time / 3), np.sin(y / 5 - time / 4), np.cos((x + y) / 9)], axis=-1)
        Image.fromarray((127.5 + 120 * frame).astype(np.uint8)).save(folder / f"{time}.png")
    return folder


def fit(video: Path, runs: Path, *flags: str, verb: str = "fit", name: str = "nvp_tiny") -> Path:
    quick = ["--model.total_updates", "20", "--model.validate_every", "20"]
    given = ["--config", str(CONFIGS / f"{name}.yaml"), "--data.path", str(video), "--runs_dir", str(runs)]
    train.main([verb, *given, *quick, *flags])
    return runs / name


@pytest.mark.parametrize("name", ["nvp_tiny", "nvp_rate"])
def test_a_fit_in_two_parts_is_the_fit_in_one(name: str, video: Path, tmp_path: Path) -> None:
    small = ["--data.size", "[16, 20]", "--data.batch_size", "256"] if name == "nvp_rate" else []
    whole = fit(video, tmp_path / "whole", *small, name=name)
    fit(video, tmp_path / "parts", *small, "--trainer.max_steps", "9", name=name)
    parts = fit(video, tmp_path / "parts", *small, "--ckpt_path", "last", name=name)
    states = [torch.load(run / "last.ckpt", weights_only=True) for run in (whole, parts)]
    assert states[0]["state_dict"].keys() == states[1]["state_dict"].keys()
    assert all(
        torch.equal(states[0]["state_dict"][name], states[1]["state_dict"][name]) for name in states[0]["state_dict"]
    )


def test_validate_measures_what_was_fitted(video: Path, tmp_path: Path) -> None:
    run = fit(video, tmp_path)
    fitted = json.loads((run / "validation.jsonl").read_text().splitlines()[-1])
    fit(video, tmp_path, "--ckpt_path", "last", verb="validate")
    again = json.loads((run / "validation.jsonl").read_text().splitlines()[-1])
    assert again["psnr"] == fitted["psnr"]


def test_bad_data_leave_no_run_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        fit(tmp_path / "nothing", tmp_path / "runs")
    assert ended.value.code == 2 and str(tmp_path / "nothing") in capsys.readouterr().err
    assert not (tmp_path / "runs" / "nvp_tiny").exists()
