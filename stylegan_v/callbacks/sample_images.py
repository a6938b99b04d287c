"""Images of the averaged generator, now and then, from the same latents each time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning import Trainer

from stylegan_v.callbacks.pictures import log_image, save_png
from stylegan_v.callbacks.samples import Grid, Layout, SampleVideos, sample_labels
from stylegan_v.networks import Generator
from stylegan_v.rendering import draw_latents, render


def generated_images(generator: Generator, labels: np.ndarray, layout: Layout, seed: int, chunk: int) -> Iterator[Grid]:
    """A grid of images: the first frames of the videos that `samples.generated_grid` shows.

    Args:
        generator: In evaluation mode; with motion or without.
        labels: Conditions of the training images [M, c_dim]; the samples take some of these.
        layout: How many, and how many side by side.
        seed: Decides all latents and labels.
        chunk: Images that the generator works on at once.
    """
    latents = draw_latents(generator, seed, range(layout.num_videos), c=sample_labels(generator, labels, layout, seed))
    for frames in render(generator, latents, torch.zeros(1, dtype=torch.float64), chunk=chunk):
        yield Grid.of(frames.cpu(), layout)


class SampleImages(SampleVideos):
    """Writes grids of real and generated images to ``samples/`` of the run folder, as PNG, and to TensorBoard.

    For training on single frames. The latents depend on the seed alone, so snapshots can be compared; nothing that
    training uses is read or changed.

    Args:
        every_updates: Updates between two snapshots; there is one more at the start and one at the end.
        num_images: Images of a grid; None: as many as fit about 1024 x 1024 pixels, at most 16.
        seed: Decides the latents, and which real images are shown.
        chunk: Images that the generator works on at once.
    """

    def __init__(
        self, every_updates: int = 1000, num_images: int | None = None, seed: int = 0, chunk: int = 16
    ) -> None:
        super().__init__(every_updates, num_images, num_frames=1, seed=seed, chunk=chunk)

    def _generated(self, generator: Generator, labels: np.ndarray, layout: Layout) -> Iterator[Grid]:
        return generated_images(generator, labels, layout, self.seed, self.chunk)

    def _show(self, trainer: Trainer, name: str, grids: Iterable[Grid], updates: int = 0) -> None:
        folder = Path(trainer.default_root_dir) / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        (image,) = (grid.frames[0] for grid in grids)
        save_png(image, folder / f"{name}.png")
        log_image(trainer.loggers, f"samples/{name.partition('_')[0]}", image, updates)
