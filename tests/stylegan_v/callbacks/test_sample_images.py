from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stylegan_v.callbacks import SampleImages
from stylegan_v.callbacks.sample_images import generated_images
from stylegan_v.callbacks.samples import Layout, generated_grid
from stylegan_v.networks import Generator, Motionless
from tests.stylegan_v import tiny_gan


def _image_generator(c_dim: int = 0, seed: int = 0) -> Generator:
    torch.manual_seed(seed)
    sizes = {"z_dim": 8, "w_dim": 8, "c_dim": c_dim, "channel_base": 128, "channel_max": 8, "conv_clamp": None}
    return Generator(16, motion=Motionless(), **sizes)


@pytest.mark.parametrize("chunk", [1, 2, 16])
def test_images_are_the_first_frames_of_the_sample_videos(chunk: int) -> None:
    for generator in (tiny_gan.generator(2).eval(), _image_generator(2).eval()):
        labels, layout = np.eye(2, dtype=np.float32), Layout(3, 2)
        (grid,) = generated_images(generator, labels, layout, seed=5, chunk=chunk)
        first = next(generated_grid(generator, labels, layout, 4, 5, 16)).frames[:1, :, :, :32]
        assert grid.frames.shape == (1, 3, 32, 32)
        assert (grid.frames.int() - first.int()).abs().max() <= 1  # chunks differ by rounding


def test_pictures_of_a_run_on_single_frames(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, "run", version="")
    trainer = tiny_gan.trainer(
        tmp_path / "run", SampleImages(every_updates=2, num_images=4), tiny_gan.StopAfter(3), logger=logger
    )
    model = tiny_gan.gan(generator=_image_generator(), discriminator=tiny_gan.discriminator(num_frames=1))
    data = tiny_gan.data(num_frames=1)
    trainer.fit(model, data)
    files = sorted(path.name for path in (tmp_path / "run" / "samples").iterdir())
    assert files == [*(f"generated_{n:07d}.png" for n in (0, 2, 3)), "real.png"]

    (expected,) = generated_images(model.generator_ema, data.labels, Layout(4, 4), 0, 16)
    with Image.open(tmp_path / "run" / "samples" / "generated_0000003.png") as picture:
        assert np.array_equal(np.asarray(picture).transpose(2, 0, 1), expected.frames[0])
    with Image.open(tmp_path / "run" / "samples" / "real.png") as picture:
        shown = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[..., :16]
    assert any(torch.equal(shown, data.videos.open(i).read([0])[0]) for i in range(6))

    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert [image.step for image in events.Images("samples/generated")] == [0, 2, 3]
    assert [(image.width, image.height) for image in events.Images("samples/real")] == [(64, 16)]
