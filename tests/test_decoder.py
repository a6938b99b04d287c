"""A run with a decoder starts with the native frames of the run without one that it starts from, learns, and draws."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

import generate
import train
from stylegan_v.gan import VideoGAN
from stylegan_v.networks import Generator
from stylegan_v.pretrained import load_generator
from stylegan_v.rendering import draw_latents, render_float

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def fit(runs: Path, config: str, name: str, *flags: str) -> list[Generator]:
    """Two updates with a config; gives the generator and its average before the first."""
    before, step = [], VideoGAN.training_step

    def watched(model: VideoGAN, batch: dict[str, Tensor], batch_idx: int) -> None:
        if not before:
            before.extend(copy.deepcopy(one).eval() for one in (model.generator, model.generator_ema))
        step(model, batch, batch_idx)

    place = ["--runs_dir", str(runs), "--run_name", name, "--trainer.callbacks=null", "--model.total_kimg=0.024"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py"])
        patch.setattr(VideoGAN, "training_step", watched)
        train.main(["fit", "--config", str(CONFIGS / f"{config}.yaml"), *place, *flags])
    return before


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Generator]]:
    """A run without a decoder and one with it that starts from the first; and how the second began."""
    folder = tmp_path_factory.mktemp("runs")
    fit(folder, "stylegan_v/tiny", "plain")
    source = ["--model.init_args.init_from", str(folder / "plain")]
    return folder, fit(folder, "stylegan_v_field/tiny", "field", *source)


def draw(network: Generator) -> Tensor:
    random = torch.Generator().manual_seed(3)
    z, motion_z = (torch.randn(*shape, generator=random) for shape in ((4, 16), (4, 40, 16)))
    t = torch.tensor([[0.0, 7.5, 60.0, 200.25]], dtype=torch.float64).expand(4, -1)
    with torch.no_grad():
        return network(z, t, None, motion_z)


@pytest.mark.parametrize("ema", [False, True])
def test_a_run_with_it_starts_with_the_native_frames_of_one_without(
    runs: tuple[Path, list[Generator]], ema: bool
) -> None:
    folder, before = runs
    assert before[ema].decoder is not None
    source = load_generator(folder / "plain", ema=ema)
    assert source.decoder is None
    torch.testing.assert_close(draw(before[ema]), draw(source), rtol=0, atol=1e-4)


def test_it_learns_and_is_read_again_from_its_run(runs: tuple[Path, list[Generator]]) -> None:
    folder, (before, _) = runs
    after = load_generator(folder / "field", ema=False)
    assert not before.decoder.last_weight.any() and after.decoder.last_weight.abs().max() > 1e-4
    t = torch.arange(5, dtype=torch.float64)
    latents = draw_latents(after, 0, (0,))
    frames = torch.cat(list(render_float(after, latents, t, size=(45, 64))), dim=1)
    window = torch.cat(list(render_float(after, latents, t, size=(45, 64), window=(20, 30, 45, 50))), dim=1)
    assert frames.shape == (1, 5, 3, 45, 64)
    torch.testing.assert_close(window, frames[..., 20:45, 30:50], rtol=0, atol=1e-4)


def test_curves_have_its_losses_by_name_and_the_scales_that_were_drawn(runs: tuple[Path, list[Generator]]) -> None:
    events = EventAccumulator(str(runs[0] / "field")).Reload()
    scales = {f"views/scale_{name}" for name in ("below_1", "1", "to_2", "to_4", "above_4")}
    losses = {"loss/g", "loss/d", "loss/r1", "loss/teacher", "loss/consistency"}
    assert losses | scales | {"views/scaled", "views/log2_scale"} <= set(events.Tags()["scalars"])
    first = {name: events.Scalars(name)[0].value for name in scales}
    assert sum(first.values()) == pytest.approx(1) and first["views/scale_above_4"] == 0
    assert all(event.value >= 0 for name in losses for event in events.Scalars(name))


@pytest.mark.slow
def test_at_full_width_an_update_above_native_runs_and_starts_from_what_the_source_draws(tmp_path: Path) -> None:
    """The config from 256 to 1024 px, with one clip; in a process of its own, so that its memory can be told."""
    command = [sys.executable, "-m", "tests.stylegan_v.full_width", str(tmp_path)]
    subprocess.run(command, cwd=CONFIGS.parent, check=True, timeout=1800)
    found = json.loads((tmp_path / "result.json").read_text())
    print(f"peak memory of a full-width update: {found['peak_gb']:.2f} GB")  # shown by -s
    assert found["peak_gb"] < 10
    assert max(found["started"]) <= 1e-4 and found["contrast"] > 0.1
    assert found["updates"] == 1 and found["latest"]["views/log2_scale"] > 1
    assert found["finite"] and all(map(math.isfinite, found["latest"].values()))
    assert found["bad"] == {"generator": 0, "discriminator": 0, "r1": 0}
    assert found["head_moved"] and found["latest"]["loss/teacher"] > 0 and found["latest"]["loss/consistency"] > 0


def test_exporting_says_that_it_cannot(
    runs: tuple[Path, list[Generator]], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as end:
        generate.main(["export", "--ckpt", str(runs[0] / "field"), "--out", str(tmp_path / "made"), "--format", "pt2"])
    assert end.value.code == 2
    assert "its decoder cannot be exported" in capsys.readouterr().err.strip().splitlines()[-1]
