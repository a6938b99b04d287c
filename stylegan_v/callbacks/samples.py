"""Videos of the averaged generator, now and then, from the same latents each time: how training looks.

Shape legend
    N       videos
    F       frames
    H, W    height and width
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from datasets.clips import fit
from datasets.datamodule import ClipDataModule
from datasets.video_writer import open_writer, tile
from errors import InputError
from stylegan_v.callbacks.counters import Counters, check_interval
from stylegan_v.callbacks.pictures import beside, log_image, log_video, save_png, shrink, time_slices
from stylegan_v.callbacks.scale_slices import canvas_of, over_scales, over_time, some_scales
from stylegan_v.networks import Generator
from stylegan_v.rendering import draw_latents, render

_log = logging.getLogger(__name__)
_GRID_PIXELS = 1024  # sides of a grid, about
_MAX_SIDE = 4  # videos
_GAP = 64  # pixels between the halves, as in the original's previews; at most the width of a video


@dataclass(frozen=True)
class Layout:
    """How many videos a grid shows.

    Attributes:
        num_videos: N.
        columns: Side by side.
    """

    num_videos: int
    columns: int

    @staticmethod
    def of(resolution: tuple[int, int], num_videos: int | None = None) -> Layout:
        """As many videos of this height and width as fit, unless ``num_videos`` is given."""
        rows, columns = (min(max(1, _GRID_PIXELS // side), _MAX_SIDE) for side in resolution)
        num_videos = num_videos or rows * columns
        return Layout(num_videos, min(columns, num_videos))


@dataclass(frozen=True)
class Grid:
    """Some frames of a grid of videos.

    Attributes:
        frames: The grid.
        rows: The middle row of pixels of every video and frame.
    """

    frames: UInt8[Tensor, "f 3 H W"]
    rows: UInt8[Tensor, "N f 3 w"]

    @staticmethod
    def of(videos: UInt8[Tensor, "N f 3 h w"], layout: Layout) -> Grid:
        return Grid(tile(videos, columns=layout.columns, gap=0), videos[:, :, :, videos.shape[3] // 2])


def real_grid(data: ClipDataModule, layout: Layout, num_frames: int, seed: int) -> Iterator[Grid]:
    """The first frames of some videos, as training crops them; shorter ones stand still at their end."""
    order = np.random.default_rng([seed, zlib.crc32(b"samples")]).permutation(len(data.videos.lengths))
    videos: list[Tensor] = []
    for i in order.tolist():
        times = np.minimum(np.arange(num_frames), data.videos.lengths[i] - 1).tolist()
        try:
            videos.append(fit(data.videos.open(i).read(times), data.resolution))
        except Exception as error:  # decoders raise whatever they like, and a broken file does not stop a run
            _log.warning("video %d cannot be shown: %r", i, error)
        if len(videos) == layout.num_videos:
            break
    if not videos:
        raise InputError("data: none of the videos can be read; the log says why")
    videos += [torch.zeros_like(videos[0])] * (layout.num_videos - len(videos))
    yield Grid.of(torch.stack(videos), layout)


def generated_grid(
    generator: Generator, labels: np.ndarray, layout: Layout, num_frames: int, seed: int, chunk: int
) -> Iterator[Grid]:
    """Own motion on the left, one motion for all on the right, a few frames at a time.

    Args:
        generator: In evaluation mode.
        labels: Conditions of the training videos [M, c_dim]; the samples take some of these.
        layout: Of each half.
        num_frames: F.
        seed: Decides all latents and labels.
        chunk: Frames that the generator works on at once.
    """
    numbers, c = range(layout.num_videos), sample_labels(generator, labels, layout, seed)
    halves = [
        render(generator, draw_latents(generator, seed, numbers, motion_videos=motion, c=c), t, chunk=chunk)
        for t in [torch.arange(num_frames, dtype=torch.float64)]
        for motion in (None, [0] * layout.num_videos)
    ]
    for own, shared in zip(*halves, strict=True):
        left, right = Grid.of(own.cpu(), layout), Grid.of(shared.cpu(), layout)
        yield Grid(beside(left.frames, right.frames, min(_GAP, own.shape[4])), left.rows)


def sample_labels(generator: Generator, labels: np.ndarray, layout: Layout, seed: int) -> Tensor | None:
    """A label of the training videos [M, c_dim] for each sample; None where the generator has none."""
    chosen = np.random.default_rng([seed, zlib.crc32(b"labels")]).integers(len(labels), size=layout.num_videos)
    return torch.from_numpy(labels[chosen]).to(generator.mapping.w_avg.device) if generator.c_dim else None


class SampleVideos(Callback):
    """Writes grids of real and generated videos to ``samples/`` of the run folder and to TensorBoard.

    Left half: every video with its own motion. Right half: the same contents, all with the motion of the first. Beside
    each mp4 a PNG shows the middle row of every video over time. The latents depend on the seed alone, so snapshots
    can be compared; nothing that training uses is read or changed. Of a generator that draws at any size, two more
    pictures show the middle row: of the videos' first frames over scales, and of all frames, at the largest, over time.

    Args:
        every_updates: Updates between two snapshots; there is one more at the start and one at the end.
        num_videos: Videos of a grid; None: as many as fit about 1024 x 1024 pixels, at most 16.
        num_frames: Length of the videos.
        seed: Decides the latents, and which real videos are shown.
        chunk: Frames that the generator works on at once.
        gif_width: Width of the videos in TensorBoard, pixels; wider ones are scaled down.
    """

    def __init__(
        self,
        every_updates: int = 1000,
        num_videos: int | None = None,
        num_frames: int = 32,
        seed: int = 0,
        chunk: int = 16,
        gif_width: int = 512,
    ) -> None:
        check_interval("SampleVideos.every_updates", every_updates)
        self.every_updates, self.num_videos, self.num_frames = every_updates, num_videos, num_frames
        self.seed, self.chunk, self.gif_width = seed, chunk, gif_width
        self._shown_at: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._shown_at = Counters.of(trainer, pl_module).updates or None  # a resumed run has shown this one
        if trainer.is_global_zero and self._shown_at is None:
            data, layout = trainer.datamodule, self._layout(trainer.datamodule)
            self._show(trainer, "real", real_grid(data, layout, self.num_frames, self.seed))
            self._snapshot(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.is_global_zero and Counters.of(trainer, pl_module).updates % self.every_updates == 0:
            self._snapshot(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            self._snapshot(trainer, pl_module)

    def _layout(self, data: ClipDataModule) -> Layout:
        return Layout.of(data.resolution, self.num_videos)

    def _snapshot(self, trainer: Trainer, module: LightningModule) -> None:
        updates, data = Counters.of(trainer, module).updates, trainer.datamodule
        if updates != self._shown_at:
            self._shown_at = updates
            grids = self._generated(module.generator_ema, data.labels, self._layout(data))
            self._show(trainer, f"generated_{updates:07d}", grids, updates)
            if module.generator_ema.decoder is not None:
                self._show_scales(trainer, module.generator_ema, updates)

    def _generated(self, generator: Generator, labels: np.ndarray, layout: Layout) -> Iterator[Grid]:
        return generated_grid(generator, labels, layout, self.num_frames, self.seed, self.chunk)

    def _show_scales(self, trainer: Trainer, generator: Generator, updates: int) -> None:
        """Slices over scales, and over time at the largest scale that is trained."""
        data, layout = trainer.datamodule, self._layout(trainer.datamodule)
        largest = max(2.0, data.views.scales[1]) if data.views is not None else 2.0
        c = sample_labels(generator, data.labels, layout, self.seed)
        latents = draw_latents(generator, self.seed, range(layout.num_videos), c=c)
        first = canvas_of(generator, latents, torch.zeros(1, dtype=torch.float64))
        slices = {
            "scales": over_scales(first, some_scales(largest)),
            "large_slices": over_time(generator, latents, self.num_frames, largest, self.chunk),
        }
        for name, rows in slices.items():
            picture = time_slices(rows, layout.columns)
            save_png(picture, Path(trainer.default_root_dir) / "samples" / f"generated_{updates:07d}_{name}.png")
            log_image(trainer.loggers, f"samples/generated_{name}", picture, updates)

    def _show(self, trainer: Trainer, name: str, grids: Iterable[Grid], updates: int = 0) -> None:
        """Writes a video as it is rendered; only its small copy and the slices stay in memory."""
        folder, data = Path(trainer.default_root_dir) / "samples", trainer.datamodule
        folder.mkdir(parents=True, exist_ok=True)
        small, rows = [], []
        with open_writer(folder / f"{name}.mp4", data.fps) as writer:
            for grid in grids:
                writer.write(grid.frames)
                small.append(shrink(grid.frames, self.gif_width))
                rows.append(grid.rows)
        slices = time_slices(torch.cat(rows, dim=1), self._layout(data).columns)
        save_png(slices, folder / f"{name}_slices.png")
        tag = f"samples/{name.partition('_')[0]}"
        log_video(trainer.loggers, tag, torch.cat(small), data.fps, updates)
        log_image(trainer.loggers, f"{tag}_slices", slices, updates)
