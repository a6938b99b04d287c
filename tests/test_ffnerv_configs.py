"""Configs of FFNeRV build what was published, with and without CAM, and differ in nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from jsonargparse import ArgumentParser, Namespace
from pytorch_lightning import LightningDataModule, LightningModule

import train
from datasets.signal_datamodule import VideoSignal
from fields.codec.symbols import quantisers
from fields.fitting import FFNeRVFitting
from fields.modulation import CAM

KINDS = ("representation", "compression", "tiny")
SIZES = {"representation": (600, 720, 1280), "compression": (600, 1080, 1920), "tiny": (16, 32, 32)}
# All parameters, those of latents, those of CAM.
COUNTS = {
    "representation": (12_473_309, 5_391_360, 64_800),
    "compression": (11_352_809, 3_110_400, 44_640),
    "tiny": (49_889, 4_608, 896),
}


def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load(Path(f"configs/fields/{name}.yaml").read_text())


def _build(name: str) -> Namespace:
    config = _read(name)
    config["data"]["init_args"]["path"] = "video.mp4"
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningModule, "model")
    parser.add_subclass_arguments(LightningDataModule, "data")
    return parser.instantiate(parser.parse_object({key: config[key] for key in ("model", "data")}))


def _count(modules: list) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_published_sizes(kind: str) -> None:
    total, latents, knots = COUNTS[kind]
    for name, in_cam in ((f"ffnerv_{kind}_cam", knots), (f"ffnerv_{kind}", 0)):
        built = _build(name)
        assert isinstance(built.model, FFNeRVFitting) and isinstance(built.data, VideoSignal)
        with torch.device("meta"):
            field = built.model.make(SIZES[kind])
        layers = [module for module in field.modules() if isinstance(module, CAM)]
        assert _count([field]) == total - knots + in_cam
        assert (_count([field.network.latents]), _count(layers)) == (latents, in_cam)


@pytest.mark.parametrize("kind", KINDS)
def test_cam_is_the_only_difference(kind: str) -> None:
    with_cam, without = _read(f"ffnerv_{kind}_cam"), _read(f"ffnerv_{kind}")
    network = with_cam["model"]["init_args"]["model"]["init_args"]["network"]["init_args"]
    assert network["cam_knots"] > 0
    network["cam_knots"] = None
    assert with_cam == without


@pytest.mark.parametrize("kind, epochs", [("representation", 300), ("compression", 600)])
def test_training_is_as_published(kind: str, epochs: int) -> None:
    built = _build(f"ffnerv_{kind}_cam")
    fit = built.model
    assert fit.rates == {"network": 5e-4, "grids": 5e-4} and fit.decays == {"network": 0, "grids": 0}
    assert (fit.total_updates, built.data.batch_frames, tuple(built.data.size)) == (600 * epochs, 1, SIZES[kind][1:])
    assert (fit.betas, fit.warmup_share, fit.part_weight) == ((0.5, 0.999), 0.2, 0.1)
    with torch.device("meta"):
        bits = {quantiser.bits for quantiser in quantisers(fit.make(SIZES[kind])).values()}
    assert bits == ({6, 8} if kind == "compression" else set())


def test_a_field_of_another_kind_is_refused(capsys: pytest.CaptureFixture) -> None:
    arguments = ["fit", "--config", "configs/fields/ffnerv_tiny.yaml", "--data.path", "video.mp4"]
    with pytest.raises(SystemExit) as end:
        train.main([*arguments, "--model.model", "fields.siren_video.SirenVideo", "--print_config"])
    assert end.value.code == 2
    assert "FFNeRV" in capsys.readouterr().err
