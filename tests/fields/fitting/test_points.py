"""Fits of points: against a plain loop, in two parts, and what they leave behind."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from pytorch_lightning import LightningDataModule, Trainer

from datasets.point_datamodule import PointDataModule, SumOfSines, SyntheticPicture
from errors import InputError
from fields.cam_image import CAMImage
from fields.cam_signal import CAMSignal
from fields.coords import mesh
from fields.fitting import PointFitting
from fields.fitting.points import coords_of
from fields.interface import parameter_groups

SMALL_IMAGE = partial(CAMImage, num_frequencies=4, sigma=2.0, hidden=(8,), knots=(4, 4))
SMALL_SIGNAL = partial(CAMSignal, hidden=(8,), knots=8)


def fitted(folder: Path, make: Any, data: PointDataModule, **settings: Any) -> PointFitting:
    torch.manual_seed(0)
    module = PointFitting(make, **({"total_updates": 6, "validate_every": 100} | settings))
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    Trainer(max_epochs=-1, accelerator="cpu", logger=False, default_root_dir=folder, **quiet).fit(module, data)
    return module


@pytest.mark.parametrize("size", [(200,), (5, 7), (512, 3)])
def test_places_of_elements_are_those_of_the_mesh(size: tuple[int, ...]) -> None:
    positions = torch.stack(torch.meshgrid(*map(torch.arange, size), indexing="ij"), dim=-1).float()
    found = coords_of(positions.flatten(0, -2), size)
    if len(size) == 2:
        assert torch.equal(found, mesh(size).flatten(0, 1))
    torch.testing.assert_close(found[-1], torch.tensor([1 - 1 / n for n in size]), rtol=0, atol=2e-7)
    between = coords_of(torch.full((1, len(size)), 0.5), size)
    torch.testing.assert_close(between[0], torch.tensor([2 / n - 1 for n in size]), rtol=0, atol=2e-7)


def plain_loop(field: torch.nn.Module, coords: Tensor, target: Tensor, scale: float, updates: int) -> None:
    """Adam with rates of 1e-3 and 1e-2, a tenth of these after 2 and 4 updates."""
    groups = parameter_groups(field)
    for group in groups:
        group["lr"] = 1e-3 if group["name"] == "network" else 1e-2
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4], 0.1)
    for _ in range(updates):
        loss = scale * (field(coords) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def test_a_run_is_adam_on_half_the_squared_error_of_a_quarter_of_the_pixels(tmp_path: Path) -> None:
    data = SyntheticPicture((8, 6), every=2)
    settings = {"lr": 1e-3, "grid_lr": 1e-2, "milestones": [2, 4], "loss_scale": 0.5}
    module = fitted(tmp_path, SMALL_IMAGE, data, **settings)
    torch.manual_seed(0)
    field = SMALL_IMAGE((8, 6))
    target = data.signal.values.reshape(8, 6, 3)[::2, ::2].flatten(0, 1)
    plain_loop(field, mesh((8, 6))[::2, ::2].flatten(0, 1), target, 0.5 / 4, 6)  # values in [0, 1] are half as far
    for name, tensor in field.state_dict().items():
        torch.testing.assert_close(tensor, module.model.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_a_signal_is_fitted_by_its_squared_error(tmp_path: Path) -> None:
    data = SumOfSines(num_points=40)
    module = fitted(tmp_path, SMALL_SIGNAL, data, lr=1e-3, grid_lr=1e-2, milestones=[2, 4])
    torch.manual_seed(0)
    field = SMALL_SIGNAL((40,))
    plain_loop(field, coords_of(data.signal.positions, (40,)), data.signal.values, 1.0, 6)
    for name, tensor in field.state_dict().items():
        torch.testing.assert_close(tensor, module.model.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_figures_are_those_of_all_points(tmp_path: Path) -> None:
    data = SyntheticPicture((8, 6), every=2)
    module = fitted(tmp_path, SMALL_IMAGE, data)
    (line,) = (json.loads(text) for text in (tmp_path / "validation.jsonl").read_text().splitlines())
    result = module.model.render(torch.zeros(1), (8, 6))[0].permute(1, 2, 0).clamp(-1, 1)
    squares = ((result - data.signal.values.reshape(8, 6, 3)) / 2).double().square().mean(dim=2)
    seen = torch.zeros(8, 6, dtype=torch.bool)
    seen[::2, ::2] = True
    for name, chosen in (("psnr", seen | True), ("psnr_trained", seen), ("psnr_held_out", ~seen)):
        assert line[name] == pytest.approx(float(-10 * squares[chosen].mean().log10()), abs=1e-4)
    count = 8 * 8 + 8 + 8 * 3 + 3 + 2 * 16
    assert (line["updates"], line["points"], line["parameters"], line["bits"]) == (6, 48, count, 32 * count)
    for name in ("fit_0000006", "grids_0000006"):
        Image.open(tmp_path / "samples" / f"{name}.png").verify()


def test_figures_of_a_signal_are_of_its_range(tmp_path: Path) -> None:
    data = SumOfSines(num_points=40)
    module = fitted(tmp_path, SMALL_SIGNAL, data)
    line = json.loads((tmp_path / "validation.jsonl").read_text())
    target = data.signal.values.double()
    error = (module.model(coords_of(data.signal.positions, (40,))).detach() - target).square().mean()
    assert line["mse"] == pytest.approx(float(error), rel=1e-5) and "psnr_trained" not in line
    assert line["psnr"] == pytest.approx(float(10 * ((target.max() - target.min()) ** 2 / error).log10()), abs=1e-4)


def test_rates_fall_as_those_of_torch() -> None:
    module = PointFitting(SMALL_SIGNAL, milestones=[3, 5], gamma=0.5)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5], 0.5)
    for module.updates in range(8):
        assert module.rate(0.1) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("settings", [{"lr": 0.0}, {"gamma": 0.0}, {"loss_scale": -1.0}, {"chunk": 0}])
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="above 0"):
        PointFitting(SMALL_SIGNAL, **settings)


def test_other_data_are_refused() -> None:
    with pytest.raises(InputError, match="needs points"):
        PointFitting(SMALL_SIGNAL).meet(LightningDataModule())


def test_a_field_of_other_axes_is_refused() -> None:
    with pytest.raises(InputError, match="size"):
        PointFitting(SMALL_SIGNAL).meet(SyntheticPicture((4, 4)))
