from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from datasets.datamodule import SyntheticVideos
from datasets.sources import VideoFile
from errors import InputError
from stylegan_v.callbacks import Checkpointing, SampleVideos
from stylegan_v.callbacks.samples import Grid, Layout, generated_grid, real_grid
from stylegan_v.networks import Generator
from stylegan_v.rendering import draw_latents, render, to_uint8
from tests.stylegan_v import tiny_gan


def _data(**settings: Any) -> SyntheticVideos:
    data = tiny_gan.data(**settings)
    data.setup("fit")
    return data


def _moving(c_dim: int = 0, resolution: Any = 16) -> Generator:
    """A generator whose motion is strong enough to be seen in bytes."""
    generator = tiny_gan.generator(c_dim, resolution).eval()
    for block in generator.synthesis.modules():
        if hasattr(block, "bias") and isinstance(block.bias, torch.nn.Parameter):
            torch.nn.init.normal_(block.bias)
    return generator


@pytest.mark.parametrize(
    ("resolution", "num_videos", "expected"),
    [
        ((32, 32), None, (16, 4)),
        ((256, 256), None, (16, 4)),
        ((512, 512), None, (4, 2)),
        ((1024, 1024), None, (1, 1)),
        ((2048, 2048), None, (1, 1)),
        ((144, 256), None, (16, 4)),
        ((1024, 256), None, (4, 4)),
        ((32, 32), 3, (3, 3)),
        ((32, 32), 6, (6, 4)),
    ],
)
def test_a_grid_holds_what_fits(resolution: tuple[int, int], num_videos: int | None, expected: tuple[int, int]) -> None:
    layout = Layout.of(resolution, num_videos)
    assert (layout.num_videos, layout.columns) == expected


def test_own_motion_stands_left_and_shared_motion_right() -> None:
    generator, layout = _moving(), Layout(2, 2)
    chunks = list(generated_grid(generator, np.zeros((6, 0), np.float32), layout, 5, seed=3, chunk=4))
    frames = torch.cat([grid.frames for grid in chunks])
    rows = torch.cat([grid.rows for grid in chunks], dim=1)

    assert [len(grid.frames) for grid in chunks] == [2, 2, 1]
    assert frames.shape == (5, 3, 16, 32 + 16 + 32)
    assert frames[..., 32:48].unique().tolist() == [255]
    left, right = frames[..., :32], frames[..., 48:]
    assert torch.equal(left[..., :16], right[..., :16])  # the first video has the shared motion anyway
    assert not torch.equal(left[..., 16:], right[..., 16:])
    assert torch.equal(rows[1], left[:, :, 8, 16:])


def test_samples_depend_on_the_seed_alone() -> None:
    generator, labels = _moving(), np.zeros((6, 0), np.float32)
    grids = [
        torch.cat([grid.frames for grid in generated_grid(generator, labels, Layout(2, 2), 3, seed, chunk)])
        for seed, chunk in ((0, 16), (0, 2), (1, 16))
    ]
    assert (grids[0].int() - grids[1].int()).abs().max() <= 1  # chunks differ by rounding
    assert (grids[0].int() - grids[2].int()).abs().max() > 1


def test_samples_of_a_conditional_model_take_labels_of_the_data() -> None:
    generator = _moving(c_dim=3)
    only_second = np.eye(3, dtype=np.float32)[[1, 1, 1]]
    (grid,) = generated_grid(generator, only_second, Layout(1, 1), 1, seed=0, chunk=4)
    latents = draw_latents(generator, 0, [0], c=torch.tensor([[0.0, 1.0, 0.0]]))
    (expected,) = render(generator, latents, torch.zeros(1, dtype=torch.float64))
    assert torch.equal(grid.frames[..., :16], expected[0])


def test_real_videos_are_shown_from_their_start_and_stand_still_at_their_end() -> None:
    data = _data()
    (grid,) = real_grid(data, Layout(2, 2), num_frames=30, seed=0)
    assert grid.frames.shape == (30, 3, 16, 32)
    videos = [data.videos.open(i).read(list(range(24))) for i in range(6)]
    shown = grid.frames[:24, :, :, :16]
    assert any(torch.equal(shown, video) for video in videos)
    assert torch.equal(grid.frames[23:], grid.frames[23:24].expand(7, -1, -1, -1))


def test_a_place_that_no_video_fills_stays_black() -> None:
    (grid,) = real_grid(_data(), Layout(8, 4), num_frames=2, seed=0)  # there are 6
    assert grid.frames.shape == (2, 3, 32, 64)
    assert grid.frames[..., 16:, 32:].max() == 0
    assert grid.frames[..., 16:, :32].max() > 0


def test_a_video_that_cannot_be_read_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data = _data()
    opened, open_video = [], data.videos.open

    def fails_first(i: int) -> Any:
        opened.append(i)
        if len(opened) == 1:
            raise OSError("broken")
        return open_video(i)

    monkeypatch.setattr(data.videos, "open", fails_first)
    (grid,) = real_grid(data, Layout(1, 1), num_frames=1, seed=0)
    assert torch.equal(grid.frames[0], open_video(opened[1]).read([0])[0])
    assert f"video {opened[0]} cannot be shown" in caplog.text

    monkeypatch.setattr(data.videos, "open", lambda i: 1 / 0)
    with pytest.raises(InputError, match="none of the videos can be read"):
        next(real_grid(data, Layout(1, 1), num_frames=1, seed=0))


def _train(folder: Path, *callbacks: Any, updates: int = 3, logger: Any = False, **settings: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    model = tiny_gan.gan(augmented=True)
    trainer = tiny_gan.trainer(folder, *callbacks, tiny_gan.StopAfter(updates), logger=logger)
    trainer.fit(model, tiny_gan.data(), **settings)
    optimizers = [optimizer.state_dict()["state"] for optimizer in trainer.optimizers]
    return {"state": model.state_dict(), "optimizers": optimizers, "random": torch.get_rng_state()}


def test_training_is_the_same_with_and_without_bit_for_bit(tmp_path: Path) -> None:
    plain = _train(tmp_path / "plain")
    watched = _train(tmp_path / "watched", SampleVideos(every_updates=1, num_videos=2, num_frames=3))
    torch.testing.assert_close(watched, plain, rtol=0, atol=0)


def test_files_and_curves_of_a_run(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, "run", version="")
    folder, samples = tmp_path / "run", SampleVideos(every_updates=2, num_videos=2, num_frames=4, gif_width=40)
    state = _train(folder, samples, logger=logger)["state"]
    names = ["real", *(f"generated_{n:07d}" for n in (0, 2, 3))]
    files = sorted(path.name for path in (folder / "samples").iterdir())
    assert files == sorted([f"{name}.mp4" for name in names] + [f"{name}_slices.png" for name in names])

    generator = tiny_gan.generator()
    prefix = "generator_ema."
    generator.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    expected = torch.cat(
        [g.frames for g in generated_grid(generator.eval(), np.zeros((6, 0), np.float32), Layout(2, 2), 4, 0, 16)]
    )
    shown = VideoFile(folder / "samples" / "generated_0000003.mp4")
    assert (len(shown), shown.size, shown.fps) == (4, (16, 80), 25.0)
    assert (shown.read(range(4)).int() - expected.int()).abs().float().mean() < 8  # h264
    with Image.open(folder / "samples" / "generated_0000003_slices.png") as picture:
        assert picture.size == (2 * (16 + 4) + 4, 4 + 2 * 4)

    events = EventAccumulator(str(folder))
    events.Reload()
    assert [image.step for image in events.Images("samples/generated")] == [0, 2, 3]
    assert [image.step for image in events.Images("samples/generated_slices")] == [0, 2, 3]
    assert [image.step for image in events.Images("samples/real")] == [0]
    assert (events.Images("samples/generated")[0].width, events.Images("samples/generated")[0].height) == (40, 8)


def test_a_resumed_run_shows_what_is_new(tmp_path: Path) -> None:
    samples = {"every_updates": 100, "num_videos": 1, "num_frames": 2}
    _train(tmp_path, SampleVideos(**samples), Checkpointing(), updates=1)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "samples").iterdir()}
    _train(tmp_path, SampleVideos(**samples), updates=2, ckpt_path=tmp_path / "last.ckpt")
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "samples").iterdir()}
    assert {name: after[name] for name in before} == before
    assert sorted(set(after) - set(before)) == ["generated_0000002.mp4", "generated_0000002_slices.png"]


def test_non_square_frames() -> None:
    videos = to_uint8(torch.rand(3, 2, 3, 16, 24))
    grid = Grid.of(videos, Layout(3, 2))
    assert grid.frames.shape == (2, 3, 32, 48)
    assert torch.equal(grid.rows, videos[:, :, :, 8])
