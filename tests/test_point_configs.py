"""Configs of signals and pictures build what they should, and `train.py` fits, resumes and refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from jsonargparse import ArgumentParser, Namespace
from pytorch_lightning import LightningDataModule, LightningModule

import train
from datasets.point_datamodule import Picture, SumOfSines
from datasets.synthetic import waves_checker_disc
from fields.coords import centres
from fields.fitting import PointFitting
from fields.weights import load_field

FOLDER = Path("configs/fields")
CONFIGS = {path.stem: path for path in FOLDER.glob("*.yaml") if "fields.fitting.PointFitting" in path.read_text()}
SIGNALS = {"signal_mlp": 12_673, "signal_pe": 14_721, "signal_cam": 13_185, "signal_pe_cam": 15_233}
PICTURES = {
    f"image_{kind}{task}": count
    for kind, count in (("ffn", 263_683), ("cam", 269_827))
    for task in ("", "_generalisation")
}


def build(name: str) -> Namespace:
    config = yaml.safe_load(CONFIGS[name].read_text())
    if name in PICTURES:
        config["data"]["init_args"]["path"] = "a.png"
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningModule, "model")
    parser.add_subclass_arguments(LightningDataModule, "data")
    return parser.instantiate(parser.parse_object({key: config[key] for key in ("model", "data")}))


def test_every_config_is_of_a_task() -> None:
    assert CONFIGS.keys() == {*SIGNALS, *PICTURES}


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_are_fitted_as_published(name: str) -> None:
    built = build(name)
    assert isinstance(built.model, PointFitting) and isinstance(built.data, SumOfSines)
    assert built.model.rates == {"network": 1e-3, "grids": 1e-3} and built.model.milestones == ()
    assert (built.model.total_updates, built.model.loss_scale, built.data.batch_size) == (1500, 1.0, None)
    assert sum(one.numel() for one in built.model.make((200,)).parameters()) == SIGNALS[name]


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_fitted_as_published(name: str) -> None:
    built = build(name)
    assert isinstance(built.model, PointFitting) and isinstance(built.data, Picture)
    assert built.model.rates == {"network": 1e-3, "grids": 1e-2} and built.model.milestones == (1000, 1500)
    assert (built.model.total_updates, built.model.loss_scale, built.model.gamma) == (2000, 0.5, 0.1)
    assert built.data.every == (2 if "generalisation" in name else 1) and built.data.batch_size is None
    assert sum(one.numel() for one in built.model.make((512, 512)).parameters()) == PICTURES[name]


@pytest.fixture(autouse=True)
def plain_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py"])


def run(folder: Path, name: str, *flags: str, verb: str = "fit") -> Path:
    quick = ["--model.total_updates=12", "--model.validate_every=6", "--trainer.accelerator=cpu"]
    train.main([verb, "--config", str(CONFIGS[name]), "--runs_dir", str(folder), *quick, *flags])
    return folder / name


SMALL = ("--model.model.num_frequencies=4", "--model.model.hidden=[8]", "--model.model.knots=[4,3]")


@pytest.fixture
def picture(tmp_path: Path) -> str:
    Image.fromarray(waves_checker_disc((9, 12))).save(tmp_path / "a.png")
    return str(tmp_path / "a.png")


def test_a_fit_in_two_parts_is_the_fit_in_one(tmp_path: Path) -> None:
    flags = ("--model.model.hidden=[8,8]", "--data.num_points=50", "--data.batch_size=20", "--model.milestones=[4,9]")
    whole = run(tmp_path / "whole", "signal_cam", *flags)
    run(tmp_path / "parts", "signal_cam", *flags, "--trainer.max_steps=7")
    parts = run(tmp_path / "parts", "signal_cam", *flags, "--ckpt_path=last")
    states = [torch.load(folder / "last.ckpt", weights_only=True) for folder in (whole, parts)]
    assert states[0]["state_dict"].keys() == states[1]["state_dict"].keys()
    for name, tensor in states[0]["state_dict"].items():
        assert torch.equal(tensor, states[1]["state_dict"][name]), name
    lines = [(folder / "validation.jsonl").read_text().splitlines() for folder in (whole, parts)]
    assert lines[0][-1] == lines[1][-1]


def test_a_picture_leaves_figures_pictures_curves_and_a_field(picture: str, tmp_path: Path) -> None:
    folder = run(tmp_path, "image_cam_generalisation", *SMALL, "--data.path", picture)
    lines = [json.loads(line) for line in (folder / "validation.jsonl").read_text().splitlines()]
    assert [(line["updates"], line["points"]) for line in lines] == [(6, 108), (12, 108)]
    field = load_field(folder)
    assert field.size == (9, 12) and field.network.mlp.modulations[0].gamma.shape == (4, 3)
    target = torch.from_numpy(waves_checker_disc((9, 12))).permute(2, 0, 1).double() / 255
    result = field.render(torch.zeros(1), (9, 12))[0].double() / 2 + 0.5
    assert lines[-1]["psnr"] == pytest.approx(float(-10 * (result - target).square().mean().log10()), abs=1e-4)
    curves = EventAccumulator(str(folder)).Reload()
    assert [event.step for event in curves.Scalars("fit/psnr_held_out")] == [6, 12]
    assert [event.step for event in curves.Images("grids/network.mlp.modulations.0.gamma")] == [6, 12]
    for kind in ("fit", "grids"):
        Image.open(folder / "samples" / f"{kind}_0000012.png").verify()

    run(tmp_path, "image_cam_generalisation", *SMALL, "--data.path", picture, "--ckpt_path=last", verb="validate")
    assert json.loads((folder / "validation.jsonl").read_text().splitlines()[-1]) == lines[-1]


def test_samples_of_a_file_are_fitted(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "a.csv", np.stack((np.arange(20) / 3, np.arange(20) % 5), axis=1), delimiter=",")
    data = ["--data", "datasets.point_datamodule.SampledSignal", "--data.path", str(tmp_path / "a.csv")]
    field = load_field(run(tmp_path, "signal_pe_cam", "--model.model.hidden=[8]", *data))
    assert field.size == (20,) and field(centres(20)[:, None]).isfinite().all()


@pytest.mark.parametrize(
    ("name", "flags", "words"),
    [
        ("image_ffn", ["--data.path=missing.png"], "missing.png: no image that can be read"),
        ("image_ffn", ["--data.path=README.md"], "README.md: no image that can be read"),
        ("image_cam", ["--data.path={picture}", "--model.model.knots=[1,4]"], "at least 2 of each"),
        ("image_cam", ["--data.path={picture}", "--data.every=7"], "every 7"),
        ("signal_cam", ["--data.num_points=1"], "at least 2 points"),
        ("signal_cam", ["--model.model.knots=1"], "knots 1: give 0"),
        ("signal_cam", ["--data=datasets.point_datamodule.SampledSignal", "--data.path={nan}"], "x of point 2 is nan"),
        ("signal_cam", ["--data=datasets.point_datamodule.SampledSignal", "--data.path={one}"], "has 1 point"),
    ],
)
def test_what_cannot_be_fitted_is_said_in_a_line(
    name: str, flags: list[str], words: str, picture: str, tmp_path: Path, capsys: pytest.CaptureFixture[Any]
) -> None:
    for file, text in (("nan.csv", "0,1\nnan,2\n"), ("one.csv", "0,1\n")):
        (tmp_path / file).write_text(text)
    places = {"picture": picture, "nan": tmp_path / "nan.csv", "one": tmp_path / "one.csv"}
    with pytest.raises(SystemExit) as end:
        run(tmp_path / "runs", name, *(flag.format(**places) for flag in flags))
    lines = capsys.readouterr().err.strip().splitlines()
    assert end.value.code == 2 and lines[-1].startswith("train.py: error: ") and words in lines[-1]
    assert not (tmp_path / "runs" / name).exists()
