"""A video run that starts from an image generator starts at its image quality, and learns to move.

Both halves are run by the training command, from the tiny configs.
"""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

import train
from datasets.synthetic import SpriteVideo
from stylegan_v.gan import VideoGAN
from stylegan_v.metrics.frechet import frechet_distance
from stylegan_v.metrics.random_features import AppearanceFeatures
from stylegan_v.networks import Generator
from stylegan_v.pretrained import load_generator
from stylegan_v.rendering import draw_latents, render_float, to_uint8

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "stylegan_v"
IMAGES, VIDEOS = "image_pretrain_tiny", "tiny"
FRAMES_OF_AN_UPDATE = {IMAGES: 4, VIDEOS: 12}
NUM_MEASURED = 256


@dataclass
class Run:
    """A finished run.

    Attributes:
        folder: Where it is.
        generators: The generator as it was before each update.
        averages: The averaged one likewise.
    """

    folder: Path
    generators: list[Generator]
    averages: list[Generator]


def fit(runs: Path, config: str, updates: int, name: str, *flags: str) -> Run:
    """Trains with a config for so many updates, into the folder ``name``."""
    run, step = Run(runs / name, [], []), VideoGAN.training_step

    def watched(model: VideoGAN, batch: dict[str, Any], batch_idx: int) -> None:
        run.generators.append(copy.deepcopy(model.generator).eval().requires_grad_(False))
        run.averages.append(copy.deepcopy(model.generator_ema))
        step(model, batch, batch_idx)

    length = f"--model.total_kimg={updates * FRAMES_OF_AN_UPDATE[config] / 1000}"
    place = ["--runs_dir", str(runs), "--run_name", name, "--trainer.callbacks=null"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py"])
        patch.setattr(VideoGAN, "training_step", watched)
        train.main(["fit", "--config", str(CONFIGS / f"{config}.yaml"), *place, length, *flags])
    assert len(run.generators) == updates
    return run


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fit(tmp_path_factory.mktemp("images"), IMAGES, 2, "images")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, images: Run) -> Run:
    """Started from the images."""
    start = ["--model.init_args.init_from", str(images.folder)]
    return fit(tmp_path_factory.mktemp("videos"), VIDEOS, 3, "videos", *start)


@pytest.mark.parametrize("ema", [False, True])
def test_a_video_run_draws_first_what_the_image_run_drew(images: Run, videos: Run, ema: bool) -> None:
    """At any time, under any motion noise."""
    still, moving = load_generator(images.folder, ema=ema), (videos.averages if ema else videos.generators)[0]
    assert (still.synthesis.motion.out_dim, moving.synthesis.motion.out_dim) == (0, 16)
    z, t = torch.randn(5, still.z_dim), torch.rand(5, 4, dtype=torch.float64) * 1000
    expected = still(z, torch.zeros(5, 1)).expand(-1, 4, -1, -1, -1)
    for motion_z in (None, 3 * torch.randn(5, moving.synthesis.motion.num_codes(t), 16)):
        torch.testing.assert_close(moving(z, t, None, motion_z), expected, rtol=0, atol=1e-5)


def moved(videos: Run, update: int) -> set[str]:
    """Tensors of the generator that an update changed."""
    before, after = (generator.state_dict() for generator in videos.generators[update : update + 2])
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def test_motion_is_learnt_from_the_first_update_on(videos: Run) -> None:
    """First the weights that take in the time embedding, which start at zero; then, through them, all of motion."""
    num_still = videos.generators[0].synthesis.const.shape[1]
    entrances = [g.synthesis.blocks["b4"].convs[0].weight[:, num_still:] for g in videos.generators]
    assert not entrances[0].any()
    assert entrances[1].ne(0).float().mean() > 0.99
    motion = {name for name in videos.generators[0].state_dict() if name.startswith("synthesis.motion.")}
    constants = {f"synthesis.motion.time_encoder.{name}" for name in ("freqs", "phase_scales")}
    assert moved(videos, 0) & motion == set()
    assert moved(videos, 1) & motion == motion - constants


def test_frames_change_with_time_after_the_first_update(videos: Run) -> None:
    z, t = torch.randn(1, 16), torch.tensor([[0.0, 20.0]])
    changes = [(first - later).abs().max() for first, later in (g(z, t)[0] for g in videos.generators[:2])]
    assert changes[0] < 1e-5
    assert changes[1] > 1e-4


def appearance(frames: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N D"]:
    """Features of frames as a file would hold them."""
    return AppearanceFeatures()(to_uint8(frames).float() / 127.5 - 1)


def distance(generator: Generator, real: Float[Tensor, "N D"], time: float = 0.0) -> float:
    """Between frames that are drawn at one time and real ones."""
    latents = draw_latents(generator, 0, range(NUM_MEASURED))
    (frames,) = render_float(generator, latents, torch.tensor([time], dtype=torch.float64), chunk=NUM_MEASURED)
    return float(frechet_distance(appearance(frames[:, 0]), real))


@pytest.mark.slow
def test_a_video_run_starts_at_the_image_quality_that_the_image_run_reached(tmp_path: Path) -> None:
    images = fit(tmp_path, IMAGES, 100, "images")
    videos = fit(tmp_path, VIDEOS, 1, "videos", "--model.init_args.init_from", str(images.folder))
    untrained = fit(tmp_path, VIDEOS, 1, "untrained")

    held_out = [SpriteVideo(1000 + n, 64, (32, 32)).read([n % 64]) for n in range(NUM_MEASURED)]
    real = appearance(torch.cat(held_out).float() / 127.5 - 1)
    reached = distance(load_generator(images.folder), real)
    for time in (0.0, 17.5, 1000.0):
        assert distance(videos.averages[0], real, time) == pytest.approx(reached, rel=1e-3)
    assert distance(untrained.averages[0], real) > 4 * reached
