"""Fitting: its parts against what they say, whole runs through train.py, and what happens when a fit collapses."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from pytorch_lightning import Callback, LightningDataModule, Trainer

import train
from datasets.acceptance_video import acceptance_video
from datasets.signal_datamodule import SyntheticSignal, VideoSignal
from errors import InputError
from fields.coords import centres, mesh
from fields.ffn import FFN
from fields.fitting import FieldFitting
from fields.fitting.base import with_arguments
from fields.fitting.guard import copied
from fields.fitting.video import frame_loss, from_bytes, points_of
from fields.instant_ngp import InstantNGP
from fields.nerv import NeRV, NeRVNetwork
from fields.nerv_training import nerv_loss
from fields.nvp import NVP
from fields.siren_video import SirenVideo
from fields.weights import load_field

SIZE = (4, 12, 16)
SMALL_NVP = partial(NVP, levels=2, base=4, sparse_shape=[4, 5, 5], width=16)


def small_nerv(size: tuple[int, int, int]) -> NeRV:
    return NeRV(size, NeRVNetwork(num_octaves=4, stem=(8,), fc_size=(3, 4), fc_dim=4, strides=(2, 2), lower_width=4))


FIELDS = {
    "nvp": SMALL_NVP,
    "siren": partial(SirenVideo, hidden=(16, 16)),
    "ffn": partial(FFN, num_frequencies=8, hidden=(16,)),
    "instant_ngp": partial(InstantNGP, levels=2, base=4, log2_table=6, hidden=(16,)),
    "nerv": small_nerv,
}


class Interrupted(Callback):
    """Saves the state after some updates, and ends the run."""

    def __init__(self, after: int, path: Path) -> None:
        self.after, self.path = after, path

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: Any) -> None:
        if module.updates == self.after:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True


def fitted(
    folder: Path, make: Any = SMALL_NVP, *callbacks: Callback, checkpoint: Path | None = None, **settings: Any
) -> FieldFitting:
    """What becomes of a field on 4 frames of 12 x 16."""
    torch.manual_seed(0)
    defaults = {"total_updates": 12, "validate_every": 1000}
    module, data = FieldFitting(make, **(defaults | settings)), SyntheticSignal(4, (12, 16), 64, 2)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(
        max_epochs=-1, accelerator="cpu", logger=False, default_root_dir=folder, callbacks=list(callbacks), **quiet
    )
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
    return module


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return all(map(same, one, other)) if isinstance(one, (list, tuple)) else one == other


# Parts


def test_points_are_those_that_are_rendered() -> None:
    points = points_of(torch.arange(4 * 12 * 16), SIZE).unflatten(0, SIZE)
    assert torch.equal(points[..., 1:], mesh(SIZE[1:]).expand(4, -1, -1, -1))
    assert torch.equal(points[..., 0], centres(4)[:, None, None].expand(SIZE))


def test_colours_of_eight_bits_are_in_the_range_of_fields() -> None:
    assert from_bytes(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx([-1, -0.6, 1])


def test_the_size_enters_the_config_of_the_field() -> None:
    node = {"class_path": "fields.nvp.NVP", "init_args": {"levels": 2}}
    tree = {"seed_everything": 1, "model": {"class_path": "a", "init_args": {"model": node, "lr": 0.1}}}
    changed = yaml.safe_load(with_arguments(yaml.safe_dump(tree), {"size": list(SIZE)}))
    assert changed["model"]["init_args"]["model"].pop("init_args") == {"size": [4, 12, 16], "levels": 2}
    assert changed["seed_everything"] == 1 and changed["model"]["init_args"]["lr"] == 0.1


@pytest.mark.parametrize("settings", [{"lr": 0.0}, {"total_updates": 0}, {"grid_lr": -1.0}])
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="above 0"):
        FieldFitting(SMALL_NVP, **settings)


def test_other_data_are_refused() -> None:
    with pytest.raises(InputError, match="one video"):
        FieldFitting(SMALL_NVP).meet(LightningDataModule())


# The algorithm


def test_a_run_is_adamw_on_the_squared_error_of_the_pixels(tmp_path: Path) -> None:
    """Against a plain loop, with other rates and decays for grids."""
    settings = {"lr": 0.01, "grid_lr": 0.02, "weight_decay": 0.1, "grid_weight_decay": 0.0, "end_lr": 1e-3}
    module = fitted(tmp_path, total_updates=5, **settings)
    torch.manual_seed(0)
    field, data = SMALL_NVP(SIZE), SyntheticSignal(4, (12, 16), 64)
    data.setup("fit")
    grids = {name: parameter for name, parameter in field.named_parameters() if name.endswith(("table", "embeddings"))}
    rest = [parameter for name, parameter in field.named_parameters() if name not in grids]
    groups = [{"params": rest, "lr": 0.01, "weight_decay": 0.1}]
    optimizer = torch.optim.AdamW([*groups, {"params": list(grids.values()), "lr": 0.02, "weight_decay": 0.0}])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5, 1e-3)
    for update in range(5):
        batch = data.part(update)
        colours = field(points_of(batch["pixels"], SIZE))
        loss = (colours - (batch["rgb"] / 127.5 - 1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    for name, tensor in field.state_dict().items():
        assert torch.allclose(tensor, module.model.state_dict()[name], rtol=1e-4, atol=1e-6), name


def test_fields_of_whole_frames_learn_by_the_loss_of_nerv(tmp_path: Path) -> None:
    module = fitted(tmp_path, small_nerv, total_updates=1, lr=1e-3)
    module.data.whole_frames = True
    batch = module.data.part(5)
    loss, error = module.loss(batch)
    frames, target = module.model.frames(centres(4)[batch["frames"]]), batch["rgb"] / 127.5 - 1
    assert torch.allclose(loss, nerv_loss((frames + 1) / 2, (target + 1) / 2))
    assert torch.allclose(error, (frames - target).square().mean())


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_learns(name: str, tmp_path: Path) -> None:
    for updates in (1, 40):
        fitted(tmp_path, FIELDS[name], total_updates=updates, lr=1e-2)
    first, last = (json.loads(line) for line in (tmp_path / "validation.jsonl").read_text().splitlines())
    assert (first["updates"], last["updates"], last["frames"]) == (1, 40, 4)
    assert last["psnr"]["mean"] > first["psnr"]["mean"] + 0.3


def test_a_run_in_two_parts_is_that_in_one(tmp_path: Path) -> None:
    """Beyond the window of the guard, so that its errors and its state count."""
    make, path = FIELDS["instant_ngp"], tmp_path / "cut.ckpt"
    whole = fitted(tmp_path / "whole", make, total_updates=112)
    part = fitted(tmp_path / "part", make, Interrupted(107, path), total_updates=112)
    assert part.updates == 107
    rest = fitted(tmp_path / "rest", make, checkpoint=path, total_updates=112)
    assert rest.updates == 112
    assert same(whole.model.state_dict(), rest.model.state_dict())
    assert same(whole.optimizers().optimizer.state_dict(), rest.optimizers().optimizer.state_dict())
    assert whole.guard.good is not None and same(whole.guard.state_dict(), rest.guard.state_dict())


# Collapse


class Spoilt(Callback):
    """Spoils a parameter before each update from one on, until the fit has gone back so often; notes what follows."""

    def __init__(self, start: int, until: int) -> None:
        self.start, self.until = start, until
        self.rates: list[float] = []
        self.states: dict[int, Any] = {}

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        if module.updates >= self.start and module.guard.restores < self.until:
            nn.init.constant_(next(iter(module.model.parameters())), torch.nan)

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: Any) -> None:
        self.rates.append(module.optimizers().param_groups[0]["lr"])
        if module.updates in (100, 110):
            self.states[module.updates] = copied(module._state())


def test_a_collapsed_fit_goes_on_from_its_last_good_state_at_half_the_rate(tmp_path: Path) -> None:
    calm, spoilt = Spoilt(103, 0), Spoilt(103, 1)
    make = FIELDS["instant_ngp"]
    assert fitted(tmp_path, make, calm, total_updates=112, end_lr=1e-9).guard.restores == 0
    with pytest.warns(UserWarning, match="collapsed"):  # at update 110, the tenth after 100
        module = fitted(tmp_path, make, spoilt, total_updates=112, end_lr=1e-9)
    assert (module.guard.restores, module.updates) == (1, 112)
    assert same(spoilt.states[110], calm.states[100])
    assert spoilt.rates[:109] == calm.rates[:109]
    assert spoilt.rates[110:] == pytest.approx([rate / 2 for rate in calm.rates[110:]], rel=1e-3)


def test_a_fit_that_collapses_a_fourth_time_ends_the_program(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="collapsed"), pytest.raises(SystemExit) as end:
        fitted(tmp_path, FIELDS["instant_ngp"], Spoilt(2, 99), total_updates=100)
    assert "collapsed at update 39, after 3 returns" in end.value.code  # text: the shell sees 1


# Through train.py


@pytest.fixture
def video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "argv", ["train.py"])
    folder = tmp_path / "video"
    folder.mkdir()
    for number, frame in enumerate(acceptance_video(9, (17, 13))):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(folder / f"{number}.png")
    return folder


def run(folder: Path, video: Path, *flags: str) -> Path:
    place = ["--runs_dir", str(folder), "--run_name", "run", "--data.cache_dir", str(folder / "cache")]
    config = ["--config", "configs/fields/nvp_tiny.yaml", "--data.path", str(video)]
    train.main(["fit", *config, *place, "--model.total_updates", "6", "--model.validate_every", "4", *flags])
    return folder / "run"


def test_a_run_leaves_figures_pictures_curves_and_a_field(video: Path, tmp_path: Path) -> None:
    folder = run(tmp_path, video, "--data.size", "null", "--model.chunk", "100", "--data.num_frames", "7")
    lines = [json.loads(line) for line in (folder / "validation.jsonl").read_text().splitlines()]
    assert [(line["updates"], line["frames"]) for line in lines] == [(4, 7), (6, 7)]
    report = json.loads((folder / "reconstruction.json").read_text())["videos"][0]
    assert report["num_frames"] == 7 and report["size"] == [17, 13]
    assert report["figures"]["psnr"]["mean"] == lines[-1]["psnr"]["mean"]

    field = load_field(folder)
    assert field.size == (7, 17, 13)
    target = acceptance_video(9, (17, 13))[:7].double() / 255
    result = (field.render(centres(7), (17, 13)).double() / 2 + 0.5).clamp(0, 1)
    psnr = -10 * (result - target).square().mean(dim=(1, 2, 3)).log10()
    assert report["figures"]["psnr"]["frames"] == pytest.approx(psnr.tolist(), abs=1e-4)
    assert lines[-1]["psnr"]["std"] == pytest.approx(float(psnr.std()), abs=1e-4)

    for name in ("samples/fit_0000006.png", "samples/fit_0000006.gif", "reconstruction.png"):
        Image.open(folder / name).verify()
    curves = EventAccumulator(str(folder)).Reload()
    assert [event.step for event in curves.Scalars("fit/psnr")] == [4, 6]
    assert [event.step for event in curves.Images("target_reconstruction_error")].count(6) >= 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--data.path", "missing.mp4"], "missing.mp4"),
        (["--data.num_frames", "1"], "at least two"),
        (["--model.model.sparse_shape", "[60000, 100, 100]"], "are left"),
        (["--model.model.levels", "60"], "more than"),
    ],
)
def test_what_cannot_be_fitted_is_said_in_a_line(
    flags: list[str], words: str, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: Any
) -> None:
    monkeypatch.setattr("fields.fitting.memory.available_memory", lambda device: 2**30)
    with pytest.raises(SystemExit) as end:
        run(tmp_path, video, *flags)
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert end.value.code == 2 and message.startswith("train.py: error: ") and words in message


# What training does not see


def folders(path: Path) -> Path:
    """A video of 7 frames of 13 x 11, and of the same with other pixels where mask.png is white or frames are odd."""
    hidden = np.zeros((13, 11), dtype=bool)
    hidden[4:9, 3:7] = True
    Image.fromarray(hidden).save(path / "mask.png")
    random = np.random.default_rng(0)
    for name in ("video", "other"):
        (path / name).mkdir()
        for number, frame in enumerate(acceptance_video(7, (13, 11)).permute(0, 2, 3, 1).numpy()):
            noise = random.integers(0, 255, frame.shape, dtype=np.uint8)
            unseen = hidden[..., None] | (number % 2 == 1)
            Image.fromarray(np.where(unseen, noise, frame) if name == "other" else frame).save(
                path / name / f"{number}.png"
            )
    return path


def fit_of_folder(
    path: Path, name: str, make: Any, run: str, *callbacks: Callback, checkpoint: Path | None = None, **settings: Any
) -> FieldFitting:
    torch.manual_seed(0)
    module = FieldFitting(make, total_updates=8, validate_every=1000)
    data = VideoSignal(path / name, batch_size=64, batch_frames=2, cache_dir=path / "cache", **settings)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(
        max_epochs=-1, accelerator="cpu", logger=False, default_root_dir=path / run, callbacks=list(callbacks), **quiet
    )
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
    return module


ODD_SIZES = FIELDS | {
    "nvp": partial(NVP, levels=2, base=4, sparse_shape=[4, 5, 5], width=16),
    "nerv": lambda size: NeRV(
        size, NeRVNetwork(num_octaves=4, stem=(8,), fc_size=(13, 11), fc_dim=4, strides=(1,), lower_width=4)
    ),
}


@pytest.mark.parametrize("name", ODD_SIZES)
def test_what_is_hidden_or_held_out_changes_nothing_in_any_field(name: str, tmp_path: Path) -> None:
    """Also of sizes that nothing divides; and a run in two parts is that in one."""
    path, make = folders(tmp_path), ODD_SIZES[name]
    unseen = {"mask": path / "mask.png", "held_out": "odd"}
    one, other = (fit_of_folder(path, video, make, video + "_run", **unseen) for video in ("video", "other"))
    assert same(one.model.state_dict(), other.model.state_dict())
    assert one.model.size == (4, 13, 11)

    cut = path / "cut.ckpt"
    fit_of_folder(path, "video", make, "part", Interrupted(5, cut), **unseen)
    rest = fit_of_folder(path, "other", make, "rest", checkpoint=cut, **unseen)
    assert same(one.model.state_dict(), rest.model.state_dict())

    found = json.loads((path / "video_run" / "regions.json").read_text())
    parts = {part: [int(k) for k in figures["frames"]] for part, figures in found["psnr"].items()}
    assert parts == {"visible": [0, 2, 4, 6], "hidden": [0, 2, 4, 6], "held_out": [1, 3, 5]}
    line = json.loads((path / "video_run" / "validation.jsonl").read_text())
    assert {"psnr", "ssim", "psnr_visible", "psnr_hidden", "psnr_held_out", "ssim_held_out"} <= line.keys()
    picture = np.asarray(Image.open(path / "video_run" / "samples" / "fit_0000008.png"))
    assert (picture == (255, 0, 255)).all(-1).any()  # the mask is shown


def test_figures_of_damage_are_not_kept(tmp_path: Path) -> None:
    path = folders(tmp_path)
    fit_of_folder(path, "video", FIELDS["siren"], "run", mask=path / "mask.png", truth_known=False)
    line = json.loads((path / "run" / "validation.jsonl").read_text())
    assert "psnr_visible" in line and not {"psnr", "ssim", "psnr_hidden"} & line.keys()
    assert not (path / "run" / "reconstruction.json").exists()


def test_slices_that_would_see_no_frame_are_refused(tmp_path: Path) -> None:
    path = folders(tmp_path)
    with pytest.raises(InputError, match="7 slices of 4 frames"):
        fit_of_folder(
            path, "video", partial(NVP, levels=2, base=4, sparse_shape=[7, 5, 5], width=8), "run", held_out="odd"
        )


def test_the_loss_of_frames_is_that_of_what_is_visible() -> None:
    random = torch.Generator().manual_seed(0)
    result, target = (torch.rand(2, 3, 12, 13, generator=random) * 2 - 1 for _ in range(2))
    visible = torch.rand(2, 1, 12, 13, generator=random) < 0.6
    loss, error = frame_loss(result, target, visible)
    places = visible.expand_as(result)
    assert torch.allclose(error, (result - target)[places].square().mean())
    assert torch.allclose(loss, nerv_loss((result + 1) / 2 * visible, (target + 1) / 2 * visible))
    everywhere = frame_loss(result, target, torch.ones_like(visible))
    assert all(map(torch.allclose, everywhere, frame_loss(result, target)))
