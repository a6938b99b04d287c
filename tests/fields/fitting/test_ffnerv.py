"""Fits of FFNeRV: what is minimised, at which rates, that a run in two parts is one, and the whole way to a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from pytorch_lightning import Callback, Trainer

import train
from datasets.signal_datamodule import SyntheticSignal
from errors import InputError
from fields.codec.coding import Settings, decode, encode
from fields.codec.container import from_bytes
from fields.codec.symbols import FORM
from fields.coords import times
from fields.ffnerv import FFNeRV
from fields.fitting import FFNeRVFitting
from fields.nerv_training import nerv_loss
from fields.weights import load_field, read_field
from tests.fields.ffnerv.small_fields import NETWORK, SIZE, small_network


def make(size: tuple[int, int, int]) -> FFNeRV:
    return FFNeRV(size, small_network(bits=6))


class Cut(Callback):
    """Saves the state after some updates, and ends the run."""

    def __init__(self, after: int, path: Path) -> None:
        self.after, self.path = after, path

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: Any) -> None:
        if module.updates == self.after:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True


def fitted(folder: Path, *callbacks: Callback, checkpoint: Path | None = None, **settings: Any) -> FFNeRVFitting:
    """What becomes of a field on a few frames."""
    torch.manual_seed(0)
    defaults = {"total_updates": 8, "validate_every": 1000}
    module, data = FFNeRVFitting(make, **(defaults | settings)), SyntheticSignal(SIZE[0], SIZE[1:])
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(
        max_epochs=-1, accelerator="cpu", logger=False, default_root_dir=folder, callbacks=list(callbacks), **quiet
    )
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
    return module


def test_a_run_is_adam_on_three_losses_at_rates_that_rise_and_fall(tmp_path: Path) -> None:
    """Against a plain loop."""
    module = fitted(tmp_path, total_updates=5, lr=2e-3)
    torch.manual_seed(0)
    field, data = make(SIZE), SyntheticSignal(SIZE[0], SIZE[1:])
    data.setup("fit")
    data.whole_frames = True
    optimizer = torch.optim.Adam(field.parameters(), betas=(0.5, 0.999))
    # A fifth of 5 updates is one, from a tenth; the other four are half a cosine.
    rates = [2e-4, *(1e-3 * (1 + torch.cos(torch.tensor(k * torch.pi / 4))) for k in range(4))]
    for update, rate in enumerate(rates):
        batch = data.part(update)
        target = batch["rgb"] / 255
        assert len(target) == 1
        parts = field.parts(times(SIZE[0])[batch["frames"]])
        optimizer.param_groups[0]["lr"] = float(rate)
        optimizer.zero_grad()
        own, around = nerv_loss(parts.independent, target), nerv_loss(parts.aggregated, target)
        (nerv_loss(parts.final, target) + 0.1 * own + 0.1 * around).backward()
        optimizer.step()
    for name, tensor in field.state_dict().items():
        assert torch.allclose(tensor, module.model.state_dict()[name], rtol=1e-3, atol=2e-5), name


def test_the_error_is_that_of_the_final_frames(tmp_path: Path) -> None:
    module = fitted(tmp_path, total_updates=1)
    batch = module.data.part(3)
    _, error = module.loss(batch)
    frames = module.model.frames(times(SIZE[0])[batch["frames"]])
    torch.testing.assert_close(error, (frames - (batch["rgb"] / 127.5 - 1)).square().mean())


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return all(map(same, one, other)) if isinstance(one, (list, tuple)) else one == other


def test_a_run_in_two_parts_is_that_in_one(tmp_path: Path) -> None:
    path = tmp_path / "cut.ckpt"
    whole = fitted(tmp_path / "whole")
    part = fitted(tmp_path / "part", Cut(5, path))
    assert part.updates == 5
    rest = fitted(tmp_path / "rest", checkpoint=path)
    assert same(whole.model.state_dict(), rest.model.state_dict())
    assert same(whole.optimizers().optimizer.state_dict(), rest.optimizers().optimizer.state_dict())


@pytest.mark.parametrize("settings", [{"warmup_share": 1.0}, {"part_weight": -0.1}, {"betas": (0.5, 1.0)}])
def test_settings_that_cannot_be_are_refused(settings: dict) -> None:
    with pytest.raises(InputError, match="warmup_share"):
        FFNeRVFitting(make, **settings)


def config(name: str, **network: Any) -> dict[str, Any]:
    """A config of the tiny kind, on the video that is made on the fly."""
    tree = yaml.safe_load(Path(f"configs/fields/{name}.yaml").read_text())
    tree["model"]["init_args"]["model"]["init_args"]["network"]["init_args"].update(network)
    tree["data"] = {
        "class_path": "datasets.signal_datamodule.SyntheticSignal",
        "init_args": {"num_frames": SIZE[0], "size": list(SIZE[1:])},
    }
    return {**tree, "trainer": {"accelerator": "cpu", "logger": False}, "progress": {"line_seconds": 1e9}}


def run(folder: Path, name: str, updates: int, **network: Any) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config(name, **network)))
    limits = [f"--model.total_updates={updates}", f"--model.validate_every={updates}"]
    train.main(["fit", "--config", str(path), "--runs_dir", str(folder), "--run_name", name, *limits])
    return folder / name


@pytest.mark.slow
def test_from_the_command_to_a_file_of_a_few_bits(tmp_path: Path) -> None:
    small = {key: NETWORK[key] for key in ("latent_times", "latent_dim", "latent_size", "lower_width")}
    folder = run(
        tmp_path, "ffnerv_tiny_cam", 4, **{key: list(v) if isinstance(v, tuple) else v for key, v in small.items()}
    )
    (line,) = (json.loads(text) for text in (folder / "validation.jsonl").read_text().splitlines())
    assert line["updates"] == 4 and line["frames"] == SIZE[0]
    field = load_field(folder)
    data = encode(read_field(folder), Settings())
    moments = times(SIZE[0])
    decoded = decode(data, Path("video.field"))
    assert torch.equal(decoded.render(moments, SIZE[1:]), field.render(moments, SIZE[1:]))
    parts = from_bytes(data, Path("video.field")).parts
    assert {part.name for part in parts if part.form == FORM} == set(dict(field.named_parameters()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ffnerv_tiny", "ffnerv_tiny_cam"])
def test_tiny_configs_learn_the_acceptance_video(name: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    tree = config(name)
    tree["data"]["init_args"] = {"num_frames": 16, "size": [32, 32]}
    path.write_text(yaml.safe_dump(tree))
    train.main(["fit", "--config", str(path), "--runs_dir", str(tmp_path), "--run_name", "tiny"])
    *_, last = (json.loads(text) for text in (tmp_path / "tiny" / "validation.jsonl").read_text().splitlines())
    assert last["psnr"]["mean"] > 29
    size = len(encode(read_field(tmp_path / "tiny"), Settings()))
    assert 8 * size < 5 * sum(p.numel() for p in load_field(tmp_path / "tiny").parameters())  # bits per parameter
