"""Every config of a radiance field builds what it should, with the counts of parameters and rates of its system."""

from __future__ import annotations

import json
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
from datasets.radiance_datamodule import SphereScene, TransformsScene
from fields.fitting import RadianceFitting
from fields.radiance.mipnerf import MipNeRF
from fields.radiance.nerf import NeRF
from fields.radiance.tnerf import TNeRF
from fields.weights import load_field
from tests.datasets.test_transforms_scene import write_scene

CONFIGS = {
    path.stem: path for path in sorted(Path("configs/fields").glob("*.yaml")) if "RadianceFitting" in path.read_text()
}
WARP = (36 * 64 + 64) + (64 * 64 + 64) + (3 * 64 + 3)
KINDS: dict[str, tuple[type, int]] = {  # and parameters
    "mipnerf_blender": (MipNeRF, 612_740),
    "mipnerf_blender_cam": (MipNeRF, 613_220),
    "tnerf_blender": (TNeRF, 613_191),
    "tnerf_blender_cam": (TNeRF, 613_271),
    "nerf_spheres": (NeRF, 22_308),
    "nerf_spheres_cam": (NeRF, 22_308 + 4 * 2 * 30),
    "dnerf_spheres": (TNeRF, 22_308 + WARP),
    "dnerf_spheres_cam": (TNeRF, 22_308 + WARP + 4 * 2 * 5),
}


def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load(CONFIGS[name].read_text())


def _build(name: str) -> Namespace:
    config = _read(name)
    if "blender" in name:
        config["data"]["init_args"]["root"] = "scene"
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningModule, "model")
    parser.add_subclass_arguments(LightningDataModule, "data")
    with torch.device("meta"):
        return parser.instantiate(parser.parse_object({key: config[key] for key in ("model", "data")}))


def test_all_are_known() -> None:
    assert CONFIGS.keys() == KINDS.keys()


@pytest.mark.parametrize("name", KINDS)
def test_config_builds_the_field_it_should(name: str) -> None:
    kind, count = KINDS[name]
    built = _build(name)
    assert isinstance(built.model, RadianceFitting)
    assert isinstance(built.data, TransformsScene if "blender" in name else SphereScene)
    with torch.device("meta"):
        field = built.model.make()
    assert isinstance(field, kind)
    assert sum(parameter.numel() for parameter in field.parameters()) == count


@pytest.mark.parametrize("name", [name for name in KINDS if "_cam" in name])
def test_a_config_without_cam_stands_beside_it(name: str) -> None:
    with_cam, without = _read(name), _read(name.removesuffix("_cam"))
    arguments = [config["model"]["init_args"].pop("model")["init_args"] for config in (with_cam, without)]
    assert with_cam == without
    differing = {key for key in {**arguments[0], **arguments[1]} if arguments[0].get(key) != arguments[1].get(key)}
    assert differing <= {"view_knots", "time_knots", "norm", "elevation"}


def test_mip_nerf_is_fitted_as_published() -> None:
    built = _build("mipnerf_blender_cam")
    fit, data = built.model, built.data
    assert fit.rates == {"network": 5e-4, "grids": 5e-4} and fit.end_lr == 5e-6 and fit.delay_updates == 2500
    assert (fit.total_updates, fit.coarse_weight, data.batch_size, data.one_view) == (1_000_000, 0.1, 4096, True)
    assert (data.near, data.far, data.background) == (2.0, 6.0, "white")


def test_small_configs_see_the_scenes_of_the_comparison() -> None:
    for name in (name for name in KINDS if "spheres" in name):
        built = _build(name)
        fit, data = built.model, built.data
        assert (fit.total_updates, fit.rates["network"], data.batch_size) == (300, 2e-3, 512)
        assert (data.num_views, data.size, data.moving) == (
            (40, (40, 40), True) if name.startswith("dnerf") else (24, (40, 40), False)
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_config_makes_an_update(name: str, tmp_path: Path) -> None:
    flags = ["--model.total_updates=1", "--model.num_while_training=1", "--data.batch_size=4"]
    if "blender" in name:
        moving = name.startswith("tnerf")
        write_scene(tmp_path / "scene", "train", 2, moving)
        write_scene(tmp_path / "scene", "test", 1, moving)
        flags += [f"--data.root={tmp_path / 'scene'}"]
    else:
        flags += ["--data.size=[6,6]", "--data.num_test_views=1"]
    train.main(
        ["fit", "--config", str(CONFIGS[name]), *flags, "--runs_dir", str(tmp_path), "--trainer.accelerator=cpu"]
    )
    assert isinstance(load_field(tmp_path / name), KINDS[name][0])


def test_a_scene_that_cannot_be_used_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_scene(tmp_path / "scene", "train", 2)
    path.write_text(path.read_text().replace('"./train/r_1"', '"./train/r_7"'))
    root, runs = f"--data.root={path.parent}", ["--runs_dir", str(tmp_path / "runs"), "--trainer.accelerator=cpu"]
    with pytest.raises(SystemExit) as ended:
        train.main(["fit", "--config", str(CONFIGS["mipnerf_blender"]), root, *runs])
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert ended.value.code == 2
    assert said.startswith(f"train.py: error: {path}: frames[1].file_path: there is no ")
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_run_is_measured_again_by_validate(tmp_path: Path) -> None:
    flags = ["--config", str(CONFIGS["dnerf_spheres_cam"]), "--runs_dir", str(tmp_path), "--data.size=[6,6]"]
    flags += ["--model.total_updates=2", "--data.num_test_views=2"]
    train.main(["fit", *flags])
    train.main(["validate", *flags])
    text = (tmp_path / "dnerf_spheres_cam" / "validation.jsonl").read_text()
    fitted, again = (json.loads(line) for line in text.splitlines()[-2:])
    assert fitted == again
