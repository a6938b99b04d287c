"""A run with temporal modulation starts as the run without it that it starts from, learns, and is sampled from."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import generate
import train
from stylegan_v.gan import VideoGAN
from stylegan_v.networks import Generator
from stylegan_v.pretrained import load_generator
from stylegan_v.rendering import draw_latents, render_float

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "stylegan_v"
FRAMES_OF_AN_UPDATE = 12


def fit(runs: Path, config: str, updates: int, *flags: str) -> list[Generator]:
    """Trains with a config; gives the generator and its average before the first update."""
    before, step = [], VideoGAN.training_step

    def watched(model: VideoGAN, batch: dict[str, Tensor], batch_idx: int) -> None:
        if not before:
            before.extend(copy.deepcopy(one).eval() for one in (model.generator, model.generator_ema))
        step(model, batch, batch_idx)

    length = f"--model.total_kimg={updates * FRAMES_OF_AN_UPDATE / 1000}"
    place = ["--runs_dir", str(runs), "--trainer.callbacks=null"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py"])
        patch.setattr(VideoGAN, "training_step", watched)
        train.main(["fit", "--config", str(CONFIGS / f"{config}.yaml"), *place, length, *flags])
    return before


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Generator]]:
    """A run without modulation and one with it that starts from the first; and how the second began."""
    folder = tmp_path_factory.mktemp("runs")
    fit(folder, "tiny", 2)
    return folder, fit(folder, "tiny_cam", 3, "--model.init_args.init_from", str(folder / "tiny"))


def draw(network: Generator) -> Tensor:
    random = torch.Generator().manual_seed(3)
    z, motion_z = (torch.randn(*shape, generator=random) for shape in ((4, 16), (4, 40, 16)))
    t = torch.tensor([[0.0, 7.5, 60.0, 200.25]], dtype=torch.float64).expand(4, -1)
    with torch.no_grad():
        return network(z, t, None, motion_z)


@pytest.mark.parametrize("ema", [False, True])
def test_a_run_with_it_starts_with_the_frames_of_one_without(runs: tuple[Path, list[Generator]], ema: bool) -> None:
    folder, before = runs
    assert before[ema].synthesis.temporal_modulation is not None
    assert torch.equal(draw(before[ema]), draw(load_generator(folder / "tiny", ema=ema)))


def test_it_learns_from_the_first_update_on(runs: tuple[Path, list[Generator]]) -> None:
    folder, (before, _) = runs
    after = load_generator(folder / "tiny_cam", ema=False).synthesis
    assert not before.synthesis.temporal_modulation.head.weight.any()
    assert after.temporal_modulation.head.weight.abs().max() > 1e-4
    for name, basis in before.synthesis.modulation_bases.state_dict().items():
        assert not torch.equal(basis, after.modulation_bases.state_dict()[name])


def test_commands_sample_from_it_and_export_says_that_it_cannot(
    runs: tuple[Path, list[Generator]], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run = str(runs[0] / "tiny_cam")
    generate.sample(run, str(tmp_path / "whole"), num_videos=1, seconds=1, fps=8, format="png")
    generate.sample(run, str(tmp_path / "late"), num_videos=1, seconds=0.5, fps=8, start=0.5, format="png")
    whole, late = (
        np.stack([np.array(Image.open(path)) for path in sorted((tmp_path / name).rglob("*.png"))]).astype(int)
        for name in ("whole", "late")
    )
    assert len(late) == 4 and whole.std() > 1
    assert np.abs(whole[4:] - late).max() <= 1  # bytes are rounded
    with pytest.raises(SystemExit) as end:
        generate.main(["export", "--ckpt", run, "--out", str(tmp_path / "made"), "--format", "pt2"])
    assert end.value.code == 2
    assert "its temporal_modulation cannot be exported" in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.slow
def test_a_longer_run_uses_it_and_long_videos_keep_varying(tmp_path: Path) -> None:
    fit(tmp_path, "tiny_cam", 60)
    on = load_generator(tmp_path / "tiny_cam", ema=False)
    off = copy.deepcopy(on)
    torch.nn.init.zeros_(off.synthesis.temporal_modulation.head.weight)
    torch.nn.init.zeros_(off.synthesis.temporal_modulation.head.bias)
    t = 10 * 64 + torch.arange(0, 32, 2, dtype=torch.float64)
    modulated, plain = (
        torch.cat(list(render_float(one, draw_latents(one, 0, range(4)), t)), dim=1) for one in (on, off)
    )
    assert modulated.isfinite().all()
    assert (modulated - plain).std(dim=1).mean() > 1e-3
