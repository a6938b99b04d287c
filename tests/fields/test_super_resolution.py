"""Super-resolution in training: its parts against what they say, and whole runs through train.py."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from pytorch_lightning import LightningDataModule
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

import train
from datasets.image_datamodule import SyntheticImagePairs
from datasets.image_recipes import RandomCrops
from datasets.image_samples import planar
from datasets.synthetic_images import HELD_OUT
from errors import InputError
from fields.coords import cell_of, mesh
from fields.encoders import EDSR
from fields.liif import LIIF
from fields.super_resolution import SuperResolution, from_bytes, points_of
from fields.weights import load_field
from tests.checkpoint_state import tensors

ROOT = Path(__file__).resolve().parents[2]
KEPT = ("state_dict", "optimizer_states", "lr_schedulers", "counters", "SyntheticImagePairs", "global_step")
LIIF_NODE = {
    "class_path": "fields.liif.LIIF",
    "init_args": {
        "encoder": {"class_path": "fields.encoders.EDSR", "init_args": {"num_blocks": 1, "num_features": 6}},
        "hidden": [12],
    },
}


def config(**model: Any) -> dict[str, Any]:
    """A run that takes a second."""
    defaults = {"model": LIIF_NODE, "milestones": [3], "validate_every": 100, "protocol": "benchmark"}
    recipe = {"class_path": "datasets.image_recipes.RandomCrops", "init_args": {"patch": 8, "scales": [1, 3]}}
    data = {"num_seeds": 4, "size": [24, 24], "recipe": recipe, "num_samples": 30, "scales": [2, 3]}
    data |= {"num_while_training": 3, "batch_size": 4, "num_workers": 0}
    return {
        "seed_everything": 0,
        "model": {"class_path": "fields.super_resolution.SuperResolution", "init_args": {**defaults, **model}},
        "data": {"class_path": "datasets.image_datamodule.SyntheticImagePairs", "init_args": data},
        "trainer": {"accelerator": "cpu", "log_every_n_steps": 1},
    }


def run(verb: str, folder: Path, *flags: str, **model: Any) -> Path:
    """What train.py leaves of a run in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(config(**model)))
    place = ["--runs_dir", str(folder.parent), "--run_name", folder.name]
    train.main([verb, "--config", str(path), *place, *flags])
    return folder


def state(folder: Path) -> dict[str, Any]:
    checkpoint = torch.load(folder / "last.ckpt", weights_only=True)
    return tensors({key: checkpoint[key] for key in KEPT})


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        same = torch.equal(value, other[name]) if isinstance(value, Tensor) else value == other[name]
        assert same, name


@pytest.fixture(autouse=True)
def _own_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six updates in one go, measured after four and at the end."""
    return run("fit", tmp_path_factory.mktemp("runs") / "whole", total_updates=6, validate_every=4)


def made() -> tuple[LIIF, SyntheticImagePairs]:
    torch.manual_seed(0)
    model = LIIF(EDSR(1, 6), (12,))
    data = SyntheticImagePairs(4, (24, 24), RandomCrops(8, (1, 3)), 30, (2, 3), batch_size=4, num_workers=0)
    data.setup("fit")
    return model, data


# Parts


def test_points_are_those_of_the_mesh() -> None:
    sizes = torch.tensor([[7, 5], [48, 192], [35, 35]])
    pixels = torch.stack([torch.randint(int(size.prod()), (20,)) for size in sizes])
    coords, cell = points_of(pixels, sizes)
    for i, size in enumerate(sizes.tolist()):
        assert torch.allclose(coords[i], mesh(size).flatten(0, 1)[pixels[i]], rtol=0, atol=1.2e-7)
        assert torch.equal(cell[i], cell_of(size).expand(20, 2))


def test_colours_of_eight_bits_are_in_the_range_of_fields() -> None:
    assert from_bytes(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx([-1, -0.6, 1])


def test_the_loss_is_the_mean_absolute_error_of_the_model_at_the_pixels() -> None:
    model, data = made()
    batch = next(iter(data.train_dataloader()))
    errors = []
    for n in range(4):
        size = batch["size"][n].tolist()
        image = batch["lr"][n : n + 1].float() / 127.5 - 1
        drawn = model.render(image, size)[0].flatten(1).T[batch["pixels"][n]]
        errors.append((drawn - (batch["rgb"][n].float() / 127.5 - 1)).abs())
    assert torch.allclose(SuperResolution(model).loss(batch), torch.stack(errors).mean(), atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [{"lr": 0.0}, {"total_updates": 0}, {"validate_every": 0}, {"milestones": [5, 3]}, {"milestones": [3, 3]}],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="model"):
        SuperResolution(made()[0], **settings)


# Runs


def test_training_is_adam_on_that_loss_with_steps_of_the_learning_rate(whole: Path) -> None:
    torch.manual_seed(0)
    checkpoint = torch.load(whole / "last.ckpt", weights_only=True)
    model, data = made()
    start = run_start(whole)
    model.load_state_dict(start)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    batches = iter(data.train_dataloader())
    for update in range(6):
        optimizer.param_groups[0]["lr"] = 1e-4 if update < 3 else 0.5e-4
        optimizer.zero_grad()
        SuperResolution(model).loss(next(batches)).backward()
        optimizer.step()
    for name, value in model.state_dict().items():
        assert torch.allclose(value, checkpoint["state_dict"][f"model.{name}"], atol=1e-6), name
        assert name not in start or not torch.equal(value, start[name]), name


def run_start(whole: Path) -> dict[str, Tensor]:
    """The weights that the run began with: those of its seed."""
    from pytorch_lightning import seed_everything

    seed_everything(0)
    return {name: value.clone() for name, value in LIIF(EDSR(1, 6), (12,)).state_dict().items()}


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_resumed_run_is_the_run_that_was_not_interrupted(tmp_path: Path, whole: Path, num_workers: int) -> None:
    flag = f"--data.num_workers={num_workers}"
    run("fit", tmp_path / "run", flag, total_updates=3, validate_every=4)
    run("fit", tmp_path / "run", flag, "--ckpt_path=last", total_updates=6, validate_every=4)
    assert_same(state(tmp_path / "run"), state(whole))
    assert state(whole)["/counters/updates"] == 6 and state(whole)["/counters/num_images"] == 24


def test_a_finished_run_is_not_measured_again(tmp_path: Path) -> None:
    folder = run("fit", tmp_path / "run", total_updates=2)
    run("fit", folder, "--ckpt_path=last", total_updates=2)
    assert len((folder / "validation.jsonl").read_text().splitlines()) == 1


def test_ctrl_c_ends_it_with_a_checkpoint_and_without_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pressed(SuperResolution):
        def on_train_batch_end(self, *_: Any) -> None:
            if self.updates == 2:
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("fields.super_resolution.SuperResolution.on_train_batch_end", Pressed.on_train_batch_end)
    with pytest.raises(SystemExit) as end:
        run("fit", tmp_path / "run", total_updates=50, validate_every=3)
    assert end.value.code == 130
    assert state(tmp_path / "run")["/counters/updates"] == 3
    assert not (tmp_path / "run" / "validation.jsonl").exists()


def naive_psnr(result: np.ndarray, truth: np.ndarray, shave: int) -> float:
    """Luma, a border left out."""
    difference = (result - truth / 255) @ (np.array([65.738, 129.057, 25.064]) / 256)
    return -10 * math.log10((difference[shave:-shave, shave:-shave] ** 2).mean())


def test_what_is_measured_is_the_mean_psnr_of_whole_images(whole: Path) -> None:
    first, last = map(json.loads, (whole / "validation.jsonl").read_text().splitlines())
    assert (first["updates"], first["num_images"]) == (4, 3)
    assert (last["updates"], last["num_images"], last["protocol"]) == (6, 3 * len(HELD_OUT), "benchmark")
    assert last["scales"].keys() == {"x2", "x3"}
    model, (_, data) = load_field(whole), made()
    for scale in (2, 3):
        ours, bicubic = [], []
        for _, (small, large) in data.validation_pairs.pairs(scale, range(60)):
            result = model.render(planar(small)[None].float() / 127.5 - 1, large.shape[:2])[0].permute(1, 2, 0)
            ours.append(naive_psnr((result.numpy() / 2 + 0.5).clip(0, 1), large, scale))
            enlarged = Image.fromarray(small).resize(large.shape[1::-1], Image.Resampling.BICUBIC)
            bicubic.append(naive_psnr(np.asarray(enlarged) / 255, large, scale))
        assert last["scales"][f"x{scale}"]["psnr"] == pytest.approx(np.mean(ours), abs=1e-4)
        assert last["scales"][f"x{scale}"]["bicubic"] == pytest.approx(np.mean(bicubic), abs=1e-4)


def test_curves_and_pictures(whole: Path) -> None:
    events = EventAccumulator(str(whole))
    events.Reload()
    scalars = events.Tags()["scalars"]
    assert {"loss/l1", "lr"} <= set(scalars)
    rates = [event.value for event in events.Scalars("lr")]
    assert rates == pytest.approx([1e-4, 1e-4, 0.5e-4, 0.5e-4, 0.5e-4, 0.5e-4])  # of the update that comes next
    last = json.loads((whole / "validation.jsonl").read_text().splitlines()[-1])
    for scale, found in last["scales"].items():
        for kind, tag in (("psnr", "psnr"), ("bicubic", "psnr_of_bicubic_enlargement")):
            (event,) = events.Scalars(f"{tag}/60_images/benchmark_of_bicubic_lr/{scale}")
            assert event.step == 6 and event.value == pytest.approx(found[kind], abs=1e-4)
    assert {"lr_bicubic_ours_truth", "psnr_by_scale"} <= set(events.Tags()["images"])
    assert Image.open(whole / "psnr_by_scale.png").size == (640, 360)
    row = np.asarray(Image.open(whole / "samples" / "validation_0000006.png"))
    assert row.shape == (24, 4 * 24 + 3 * 4, 3)
    _, data = made()
    ((_, (_, truth)),) = data.validation_pairs.pairs(3, [0])
    assert np.array_equal(row[:, -24:], truth)


def test_validate_says_what_training_said(whole: Path, capsys: pytest.CaptureFixture) -> None:
    before = (whole / "validation.jsonl").read_text()
    run("validate", whole, total_updates=6)
    after = (whole / "validation.jsonl").read_text()
    assert after.startswith(before) and json.loads(after.splitlines()[-1]) == json.loads(before.splitlines()[-1])
    (whole / "validation.jsonl").write_text(before)


def test_a_model_is_loaded_from_its_run(whole: Path) -> None:
    model = load_field(whole)
    saved = torch.load(whole / "last.ckpt", weights_only=True)["state_dict"]
    assert isinstance(model, LIIF) and model.state_dict().keys() == {name[6:] for name in saved}
    assert all(torch.equal(value, saved[f"model.{name}"]) for name, value in model.state_dict().items())


def test_a_loss_that_is_not_finite_ends_the_run_before_the_weights_are_spoilt(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as end:
        run("fit", tmp_path / "run", "--checkpointing.every_updates=1", total_updates=50, lr=1e30)
    assert end.value.code == 2
    assert "is not finite: continue from the last checkpoint" in capsys.readouterr().err
    assert all(value.isfinite().all() for value in state(tmp_path / "run").values() if isinstance(value, Tensor))


@pytest.mark.parametrize(
    ("scale", "reason"), [(30, "cannot be reduced 30 times"), (12, "too small for x12 by protocol benchmark")]
)
def test_images_too_small_to_be_measured_are_named_before_training(
    scale: int, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as end:
        run("fit", tmp_path / "run", f"--data.scales=[2,{scale}]", total_updates=2)
    assert end.value.code == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "run" / "last.ckpt").exists()


def test_measuring_ends_when_somebody_asks_to_stop() -> None:
    model, data = made()
    module, asked = SuperResolution(model), []
    stop = SimpleNamespace(stop_if_requested=lambda _: asked.append(1) or len(asked) > 1)
    strategy = SimpleNamespace(reduce=lambda values, reduce_op: values)
    module._trainer = SimpleNamespace(
        callbacks=[stop], strategy=strategy, datamodule=data, global_rank=0, world_size=1, default_root_dir="nowhere"
    )
    assert module.validate_now() is None and len(asked) == 2  # before the second of two scales
    assert not Path("nowhere").exists()


def test_data_without_pairs_are_refused(tmp_path: Path) -> None:
    model = SuperResolution(made()[0])
    model._trainer = SimpleNamespace(datamodule=LightningDataModule())
    with pytest.raises(InputError, match="super-resolution needs pairs"):
        model.setup("fit")


def test_nothing_to_measure_on_is_refused(tmp_path: Path) -> None:
    model, (_, data) = SuperResolution(made()[0]), made()
    data.validation_pairs = None
    model._trainer = SimpleNamespace(datamodule=data)
    with pytest.raises(InputError, match=r"data\.validation: nothing to measure on"):
        model.setup("validate")


@pytest.mark.slow
def test_two_processes_take_the_way_of_one(tmp_path: Path, whole: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(config(total_updates=6, validate_every=4)))
    command = [sys.executable, "train.py", "fit", "--config", str(path), "--runs_dir", str(tmp_path)]
    subprocess.run([*command, "--trainer.devices=2"], cwd=ROOT, check=True, capture_output=True, timeout=300)
    one, two = state(whole), state(tmp_path / "two")
    for name, value in one.items():
        if name.startswith("/state_dict"):
            assert torch.allclose(value, two[name], atol=2e-6), name
    results = [(folder / "validation.jsonl").read_text().splitlines() for folder in (whole, tmp_path / "two")]
    for mine, theirs in zip(*(map(json.loads, lines) for lines in results), strict=True):
        for scale, found in mine["scales"].items():
            assert theirs["scales"][scale]["psnr"] == pytest.approx(found["psnr"], abs=1e-3)
