"""Every config of a fit builds the field it should, with the counts of parameters of its system."""

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

from datasets.signal_datamodule import VideoSignal
from fields.fitting import FieldFitting

CONFIGS = {
    path.stem: path for path in sorted(Path("configs/fields").glob("*.yaml")) if "FieldFitting" in path.read_text()
}
HD, BUNNY = (600, 1080, 1920), (132, 720, 1280)
PARAMETERS = {  # for a video of which size
    "nvp_s": (HD, 135_807_267),
    "nvp_l": (HD, 271_547_715),
    "nvp_capped": (HD, 126_844_553),
    "nvp_small": ((32, 64, 64), 112_851),
    "nvp_tiny": ((8, 16, 16), 10_323),
    "nvp_inpaint": ((32, 64, 64), 87_507),
    "nvp_held_out": ((16, 64, 64), 75_347),
    "siren_small": ((32, 64, 64), 112_515),
    "ffn_small": ((32, 64, 64), 108_067),
    "instant_ngp_small": ((32, 64, 64), 103_507),
    "nerv_small": ((32, 64, 64), 102_419),
    "nerv_s": (BUNNY, 3_201_905),
    "nerv_m": (BUNNY, 6_282_001),
    "nerv_l": (BUNNY, 12_524_563),
}


def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load(CONFIGS[name].read_text())


def _build(name: str) -> Namespace:
    """Fit and data of a config, built as the command line builds them."""
    config = _read(name)
    config["data"]["init_args"]["path"] = "video.mp4"
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningModule, "model")
    parser.add_subclass_arguments(LightningDataModule, "data")
    with torch.device("meta"):
        return parser.instantiate(parser.parse_object({key: config[key] for key in ("model", "data")}))


@pytest.mark.parametrize("name", PARAMETERS)
def test_config_builds_the_field_it_should(name: str) -> None:
    size, count = PARAMETERS[name]
    built = _build(name)
    assert isinstance(built.model, FieldFitting) and isinstance(built.data, VideoSignal)
    with torch.device("meta"):
        field = built.model.make(size)
    assert field.size == size
    assert sum(parameter.numel() for parameter in field.parameters()) == count


@pytest.mark.parametrize("name", ["nvp_s", "nvp_l", "nvp_capped"])
def test_nvp_is_fitted_as_its_authors_do(name: str) -> None:
    built = _build(name)
    fit = built.model
    assert fit.rates == {"network": 1e-2, "grids": 1e-2} and fit.decays == {"network": 1e-3, "grids": 1e-3}
    assert (fit.end_lr, fit.total_updates, built.data.batch_size) == (1e-5, 100_000, 19 * 2**16)


@pytest.mark.parametrize("name", [name for name in CONFIGS if not name.startswith("nvp")])
def test_rivals_have_no_decay(name: str) -> None:
    assert _build(name).model.decays == {"network": 0, "grids": 0}


def test_small_configs_see_as_many_pixels_of_the_same_video() -> None:
    names = [name for name in CONFIGS if name.endswith("_small")]
    assert len(names) == 5
    for name in names:
        built = _build(name)
        data = built.data
        pixels = data.batch_frames * 64 * 64 if name == "nerv_small" else data.batch_size
        assert (pixels, data.num_frames, list(data.size), built.model.total_updates) == (16_384, 32, [64, 64], 2000)
