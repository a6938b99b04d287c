from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
import yaml
from jsonargparse import ArgumentParser
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.func import functional_call

import train
from datasets.acceptance_video import acceptance_video
from datasets.signal_datamodule import SyntheticSignal
from errors import InputError
from fields.codec.__main__ import main as codec
from fields.codec.coding import decode, describe
from fields.coords import centres
from fields.fitting import RateFitting
from fields.fitting.video import from_bytes, points_of
from fields.nerv import NeRV, NeRVNetwork
from fields.nvp import NVP
from fields.rate.model import rounded
from fields.weights import load_field, read_field

SIZE = (4, 12, 16)
ARGS = {"levels": 2, "base": 4, "sparse_shape": [4, 5, 5], "width": 8, "depth": 2, "capped": True}
QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False, "logger": False}


class Interrupted(Callback):
    """Saves the state after some updates, and ends the run."""

    def __init__(self, after: int, path: Path) -> None:
        self.after, self.path = after, path

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: Any) -> None:
        if module.updates == self.after:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True


def fitted(folder: Path, *callbacks: Callback, checkpoint: Path | None = None, **settings: Any) -> RateFitting:
    """What becomes of a small NVP on 4 frames of 12 x 16."""
    torch.manual_seed(0)
    defaults = {"rate_weight": 4e-3, "total_updates": 12, "validate_every": 1000}
    module = RateFitting(partial(NVP, **ARGS), **(defaults | settings))
    trainer = Trainer(max_epochs=-1, accelerator="cpu", default_root_dir=folder, callbacks=list(callbacks), **QUIET)
    data = SyntheticSignal(SIZE[0], SIZE[1:], 64)
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
    return module


def test_the_loss_is_squared_error_and_the_weight_of_the_bits_per_pixel(tmp_path: Path) -> None:
    module = fitted(tmp_path, total_updates=1)
    module.log = lambda *_, **__: None
    batch = module.data.part(5)
    for updates, noise in ((0, (0, 0)), (1, None)):
        module.updates = updates
        loss, error = module.loss(batch)
        tensors, bits = module.coding(dict(module.model.named_parameters()), noise)
        colours = functional_call(module.model, tensors, (points_of(batch["pixels"], SIZE),))
        expected = (colours - from_bytes(batch["rgb"])).square().mean()
        assert torch.allclose(error, expected)
        assert torch.allclose(loss, expected + 4e-3 * bits / (4 * 12 * 16))


def test_resuming_gives_the_same_bits_before_and_after_rounding_begins(tmp_path: Path) -> None:
    whole = fitted(tmp_path / "whole", round_after=0.5)
    for after in (3, 8):
        part = tmp_path / f"{after}.ckpt"
        fitted(tmp_path / "part", Interrupted(after, part), round_after=0.5)
        again = fitted(tmp_path / "again", checkpoint=part, round_after=0.5)
        states = (whole.state_dict(), again.state_dict())
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_checkpoint_holds_the_rounded_field_and_the_trained_one_beside_it(tmp_path: Path) -> None:
    module = fitted(tmp_path, Interrupted(12, tmp_path / "last.ckpt"))
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    steps = module.coding.steps()
    for group in module.coding.groupings:
        trained = module.model.get_parameter(group.name).detach()
        assert torch.equal(checkpoint["unrounded"][group.name], trained)
        expected = rounded(group, trained, steps[group.name])
        assert torch.equal(checkpoint["state_dict"][f"model.{group.name}"], expected)
        assert torch.equal(checkpoint["steps"][group.name], steps[group.name])


def test_measuring_sees_the_rounded_field_and_leaves_the_trained_one(tmp_path: Path) -> None:
    module = fitted(tmp_path)
    before = {name: one.clone() for name, one in module.model.state_dict().items()}
    expected = module.rounded_state()
    with module.rounding():
        assert all(torch.equal(one, expected[name]) for name, one in module.model.state_dict().items())
        assert all(torch.equal(one, expected[name]) for name, one in module.rounded_state().items())
    assert all(torch.equal(one, before[name]) for name, one in module.model.state_dict().items())
    assert any(not torch.equal(one, before[name]) for name, one in expected.items())


def test_a_collapse_brings_steps_and_distributions_back_as_well(tmp_path: Path) -> None:
    module = fitted(tmp_path)
    module.guard.good = {**module._state(), "coding": {n: o + 1 for n, o in module.coding.state_dict().items()}}
    good = {name: one.clone() for name, one in module.guard.good["coding"].items()}
    module.guard._seen = 9
    module.trainer.optimizers = [module.configure_optimizers()]
    module.guard.good["optimizer"] = module.trainer.optimizers[0].state_dict()
    module.optimizers = lambda: type("One", (), {"optimizer": module.trainer.optimizers[0]})
    module.watch(torch.tensor(float("nan")))
    assert module.guard.restores == 1
    assert all(torch.equal(one, good[name]) for name, one in module.coding.state_dict().items())


def test_a_larger_weight_makes_a_smaller_file(tmp_path: Path) -> None:
    bits = []
    for weight in (1e-4, 1.0):
        module = fitted(tmp_path, rate_weight=weight, total_updates=25)
        bits.append(module.coded()["payload_bits"])
    assert bits[1] < 0.8 * bits[0]


def test_fields_of_frames_and_weights_out_of_range_are_refused(tmp_path: Path) -> None:
    network = NeRVNetwork(num_octaves=4, stem=(8,), fc_size=(3, 4), fc_dim=4, strides=(2, 2), lower_width=4)
    data = SyntheticSignal(SIZE[0], SIZE[1:], 64)
    with pytest.raises(InputError, match="whole frames"):
        RateFitting(lambda size: NeRV(size, network), rate_weight=1e-3).meet(data)
    with pytest.raises(InputError, match="rate_weight"):
        RateFitting(partial(NVP, **ARGS), rate_weight=-1.0)


def test_the_config_builds_the_field_it_should() -> None:
    config = yaml.safe_load(Path("configs/fields/nvp_rate.yaml").read_text())
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningModule, "model")
    with torch.device("meta"):
        module = parser.instantiate(parser.parse_object({"model": config["model"]})).model
        field = module.make((32, 64, 64))
    assert isinstance(module, RateFitting) and isinstance(field, NVP)
    assert sum(parameter.numel() for parameter in field.parameters()) == 73_847
    # No level is finer than the video: a number that no pixel can tell from its neighbour costs bits.
    limits = {"yx": (64, 64), "tx": (32, 64), "ty": (32, 64)}
    for name, limit in limits.items():
        for level in field.planes[name].levels:
            assert all(n <= most for n, most in zip(level.resolution, limit, strict=True))


@pytest.mark.slow
def test_a_run_is_coded_in_the_bits_that_were_expected_and_decodes_to_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py"])
    video, arguments = tmp_path / "video", ARGS | {"levels": 4, "sparse_shape": [8, 8, 8], "width": 16}
    node = {"class_path": "fields.nvp.NVP", "init_args": arguments}
    video.mkdir()
    frames = acceptance_video(8, (24, 24))
    for number, frame in enumerate(frames):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(video / f"{number:03d}.png")
    config = {
        "seed_everything": 0,
        "model": {
            "class_path": "fields.fitting.RateFitting",
            "init_args": {"model": node, "rate_weight": 4e-3, "total_updates": 400, "validate_every": 400},
        },
        "data": {
            "class_path": "datasets.signal_datamodule.VideoSignal",
            "init_args": {"path": str(video), "batch_size": 2048, "cache_dir": str(tmp_path / "cache")},
        },
        "trainer": {"accelerator": "cpu", "enable_progress_bar": False},
    }
    (tmp_path / "rate.yaml").write_text(yaml.safe_dump(config))
    train.main(["fit", "--config", str(tmp_path / "rate.yaml"), "--runs_dir", str(tmp_path / "runs")])
    run, file = tmp_path / "runs" / "rate", tmp_path / "video.field"
    codec(["encode", str(run), str(file)])
    report = describe(file.read_bytes(), file)
    line = json.loads((run / "validation.jsonl").read_text().splitlines()[-1])
    assert line["payload_bits"] == report["payload_bits"]
    assert abs(line["bits"] - report["bits"]) <= 8 * 20  # facts that the run knows later
    assert report["payload_bits"] == pytest.approx(line["expected_bits"], rel=0.06)
    made, stored = decode(file.read_bytes(), file), read_field(run)
    assert all(torch.equal(one, stored.state[name]) for name, one in made.state_dict().items())
    result = made.render(centres(8, torch.device("cpu")), (24, 24))
    assert torch.equal(result, load_field(run).render(centres(8, torch.device("cpu")), (24, 24)))
    error = (result.clamp(-1, 1) / 2 + 0.5 - frames / 255).square().mean(dim=(1, 2, 3))
    assert float((-10 * error.log10()).mean()) == pytest.approx(line["psnr"]["mean"], abs=0.02)
    assert line["psnr"]["mean"] > 20
    assert "rated" in capsys.readouterr().out
