"""Every config of fields parses, builds what it should and makes an update; settings are those of the original."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from jsonargparse import ArgumentParser, Namespace
from PIL import Image
from pytorch_lightning import LightningDataModule, LightningModule

import train
from datasets.image_datamodule import ImagePairs
from datasets.image_recipes import RandomCrops, VariedSizes
from datasets.synthetic_images import synthetic_image
from fields.super_resolution import SuperResolution
from fields.weights import load_field

CONFIGS = {path.stem: path for path in sorted(Path("configs/fields").glob("*.yaml"))}
PAIRS = [name for name in CONFIGS if name.startswith(("liif", "metasr", "edsr"))]
DIV2K = [name for name in PAIRS if "celeba" not in name and name != "liif_tiny"]
CELEBA = [name for name in PAIRS if "celeba" in name]

# Without the 24 numbers of the original's mean shifts, which it never uses.
EDSR, RDN = 1_220_440 - 24, 21_973_952
TAIL = 64 * 256 * 9 + 256  # one step of magnification by two
TO_RGB = 64 * 3 * 9 + 3
PARAMETERS = {
    **dict.fromkeys(("liif_edsr_baseline", "liif_celeba_32_256", "liif_celeba_64_128"), 1_567_323 - 24),
    "liif_rdn": 22_320_835,
    "liif_edsr_baseline_no_cell": 1_567_323 - 24 - 2 * 256,
    "liif_edsr_baseline_no_unfold": 1_567_323 - 24 - 8 * 64 * 256,
    "liif_edsr_baseline_no_ensemble": 1_567_323 - 24,
    "liif_edsr_baseline_shallow": 1_567_323 - 24 - 2 * (256 + 1) * 256,
    "metasr_edsr_baseline": EDSR + 445_120,
    "metasr_rdn": RDN + 445_120,
    "edsr_celeba_32_256": EDSR + 3 * TAIL + TO_RGB,
    "edsr_celeba_64_128": EDSR + TAIL + TO_RGB,
    "liif_tiny": 144_227,
}
SWITCHES = {
    "liif_edsr_baseline": (True, True, True, 4),
    "liif_edsr_baseline_no_cell": (True, True, False, 4),
    "liif_edsr_baseline_no_unfold": (False, True, True, 4),
    "liif_edsr_baseline_no_ensemble": (True, False, True, 4),
    "liif_edsr_baseline_shallow": (True, True, True, 2),
}


def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load(CONFIGS[name].read_text())


def _build(name: str) -> Namespace:
    """Model and data of a config, built as the command line builds them, without memory for parameters."""
    config = _read(name)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningModule, "model")
    parser.add_subclass_arguments(LightningDataModule, "data")
    parsed = parser.parse_object({key: config[key] for key in ("model", "data")})
    with torch.device("meta"):
        return parser.instantiate(parsed)


def test_there_is_a_config_for_every_system() -> None:
    assert PARAMETERS.keys() == set(PAIRS)


@pytest.mark.parametrize("name", CONFIGS)
def test_config_parses_on_the_command_line(name: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        train.main(["fit", "--config", str(CONFIGS[name]), "--print_config"])
    assert not end.value.code
    resolved = yaml.safe_load(capsys.readouterr().out)
    assert resolved["model"]["class_path"] == _read(name)["model"]["class_path"]
    assert resolved["seed_everything"] == 0  # a run can be repeated


@pytest.mark.parametrize("name", CONFIGS)
def test_header_says_what_it_is_and_how_to_run_it(name: str) -> None:
    text = CONFIGS[name].read_text()
    assert text.startswith("# ")
    assert f"python train.py fit --config {CONFIGS[name]}" in text


@pytest.mark.parametrize("name", PAIRS)
def test_config_builds_the_model_it_should(name: str) -> None:
    model = _build(name).model
    assert isinstance(model, SuperResolution)
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", SWITCHES)
def test_ablations_leave_out_what_they_are_named_after(name: str) -> None:
    model = _build(name).model.model
    assert (model.unfold, model.ensemble, model.cell, len(model.imnet.layers) // 2) == SWITCHES[name]


@pytest.mark.parametrize("name", DIV2K)
def test_div2k_is_trained_on_as_the_original_does(name: str) -> None:
    model, data = _build(name).model, _build(name).data
    assert (model.lr, model.milestones, model.gamma) == (1e-4, [200_000, 400_000, 600_000, 800_000], 0.5)
    assert (model.total_updates, data.batch_size, data.num_samples) == (10**6, 16, 2304)
    assert isinstance(data.recipe, RandomCrops)
    assert (data.recipe.patch, data.recipe.scales, data.recipe.flip) == ((48, 48), (1, 4), True)
    assert model.protocol == "div2k" and data.validation.scales == (2, 3, 4, 6, 12, 18, 24, 30)


@pytest.mark.parametrize("name", CELEBA)
def test_faces_are_trained_on_as_the_original_does(name: str) -> None:
    model, data = _build(name).model, _build(name).data
    small, large = map(int, name.split("_")[2:])
    assert (model.lr, model.gamma, model.protocol) == (1e-4, 0.1, "plain")
    assert model.total_updates == 2 * model.milestones[0] == 200 * 25_000 // 16 == 312_500
    assert (data.batch_size, data.num_samples, data.validation.scales) == (16, 1024, (large / small,))
    assert isinstance(data.recipe, VariedSizes)
    assert (data.recipe.small, data.recipe.sides) == (small, (small, large))
    assert data.recipe.resize_to == (None if name.startswith("liif") else large)


def _folder(path: Path, side: int) -> str:
    path.mkdir()
    for seed in range(3):
        Image.fromarray(synthetic_image("shapes", seed, (side, side))).save(path / f"{seed}.png")
    return str(path)


def _update(name: str, folder: Path, *flags: str) -> None:
    """One update of a config on images of ours, and what is measured after it."""
    side = 256 if name in CELEBA else 208
    where = [f"--data.{key}root={_folder(folder / f'{key}images', side)}" for key in ("", "validation.")]
    limits = ["--model.total_updates=1", "--data.num_workers=0", f"--data.cache_dir={folder / 'cache'}"]
    place = ["--runs_dir", str(folder), "--trainer.accelerator=cpu"]
    if name in DIV2K:
        where += ["--data.validation.scales=[4]", f"--data.decoded_dir={folder / 'decoded'}"]
    train.main(["fit", "--config", str(CONFIGS[name]), *where, *limits, *place, *flags])
    assert (folder / name / "validation.jsonl").exists()
    states = torch.load(folder / name / "last.ckpt", weights_only=True)["state_dict"]
    assert all(value.isfinite().all() for value in states.values())
    class_path = _read(name)["model"]["init_args"]["model"]["class_path"]
    assert type(load_field(folder / name)).__name__ == class_path.rpartition(".")[2]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PAIRS if name != "liif_tiny"])
def test_config_makes_an_update(name: str, tmp_path: Path) -> None:
    _update(name, tmp_path, "--data.batch_size=2")


def test_images_of_a_config_come_from_folders() -> None:
    assert all(isinstance(_build(name).data, ImagePairs) for name in PAIRS if name != "liif_tiny")
