"""The videos that are watched: generated ones, and those of a data set; all in parts, so that any length fits.

Shape legend
    N       videos of a collection
    F       frames of a video
    f       frames of one part of it
    H, W    height and width
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor

from datasets.clips import fit
from datasets.collection import IndexedVideos, RenderedVideos, VideoCollection
from datasets.index import scan
from errors import InputError
from plain_config import parse_config
from stylegan_v.checkpoints import read_checkpoint, read_config
from stylegan_v.metrics.reals import build_data
from stylegan_v.networks import Generator
from stylegan_v.rendering import draw_latents, render
from stylegan_v.weights import CONFIG, GENERATOR, LAST, MODEL, find_weights

if TYPE_CHECKING:
    from datasets.datamodule import ClipDataModule

_WEIGHTS = (".ckpt", ".safetensors", ".pkl")
_CONFIGS = (".yaml", ".yml")
_MAX_CONFIG_BYTES = 5_000_000


@runtime_checkable
class Videos(Protocol):
    """Videos to watch."""

    def parts(self, number: int, chunk: int) -> Iterator[UInt8[Tensor, "f 3 H W"]]:
        """The frames of video ``number`` in order, at most ``chunk`` at a time."""
        ...


class GeneratedVideos:
    """Videos of a generator, each of other latents.

    Args:
        generator: The network.
        times: Of the frames, in frames of the training data.
        seed: Of the latents.
        c: Labels of the videos; None draws classes where the generator has labels.
    """

    def __init__(
        self,
        generator: Generator,
        times: Float64[np.ndarray, " F"],
        seed: int,
        c: Float32[Tensor, "N c_dim"] | None = None,
    ) -> None:
        self.generator, self.times, self.seed, self.c = generator, torch.from_numpy(times), seed, c

    def parts(self, number: int, chunk: int) -> Iterator[UInt8[Tensor, "f 3 H W"]]:
        c = None if self.c is None else self.c[number : number + 1].to(self.generator.mapping.w_avg.device)
        latents = draw_latents(self.generator, self.seed, [number], c=c)
        for frames in render(self.generator, latents, self.times, chunk=chunk):
            yield frames[0]


class FilmedVideos:
    """Stretches of the videos of a collection, every video once before any twice.

    Args:
        videos: The collection.
        num_frames: F; shorter videos are left out.
        resolution: Height and width that the frames are brought to; None: those of the first video.
        seed: Of the order and of the first frames.
        from_start: Whether every stretch begins with the first frame of its video; otherwise anywhere.
        name: For messages.

    Attributes:
        num_usable: How many videos are long enough.
    """

    def __init__(
        self,
        videos: VideoCollection,
        num_frames: int,
        resolution: tuple[int, int] | None,
        seed: int,
        from_start: bool = False,
        *,
        name: str = "data",
    ) -> None:
        self.videos, self.num_frames, self.seed, self.from_start = videos, num_frames, seed, from_start
        self.usable = np.flatnonzero(videos.lengths >= num_frames)
        self.num_usable = len(self.usable)
        if not self.num_usable:
            longest = int(videos.lengths.max(initial=0))
            raise InputError(f"{name}: no video has {num_frames} frames: give --num_frames, at most {longest}")
        self.resolution = videos.open(int(self.usable[0])).size if resolution is None else resolution

    def parts(self, number: int, chunk: int) -> Iterator[UInt8[Tensor, "f 3 H W"]]:
        index = self._index(number)
        video, slack = self.videos.open(index), int(self.videos.lengths[index]) - self.num_frames
        rng = np.random.default_rng([self.seed, number, 1])
        start = 0 if self.from_start else int(rng.integers(slack + 1))
        stop = start + self.num_frames
        for first in range(start, stop, chunk):
            yield fit(video.read(list(range(first, min(first + chunk, stop)))), self.resolution)

    def labels(self, num: int) -> Float32[Tensor, "num c_dim"]:
        """Conditions of videos 0 ... num - 1."""
        return torch.from_numpy(self.videos.labels[[self._index(number) for number in range(num)]])

    def _index(self, number: int) -> int:
        repeat, place = divmod(number, self.num_usable)
        return int(np.random.default_rng([self.seed, repeat, 0]).permutation(self.usable)[place])


def holds_weights(path: Path) -> bool:
    """Whether a path is a model rather than videos: a file of weights, or a folder with one."""
    return (
        path.suffix in _WEIGHTS if path.is_file() else any((path / name).is_file() for name in (LAST, MODEL, GENERATOR))
    )


def open_collection(path: Path, num_frames: int) -> VideoCollection:
    """The videos that a path means.

    Args:
        path: A folder, zip, prepared store or video file; or a config, run or checkpoint, whose data are meant. Of
            videos made from seeds, those beyond the seeds of training are taken.
        num_frames: Frames that will be wanted of each.

    Raises:
        InputError: There are no such videos.
    """
    return _held_out(data_of(path), num_frames) if names_data(path) else IndexedVideos(scan(path))


def names_data(path: Path) -> bool:
    """Whether a path is a config, a run or a checkpoint, whose data are meant, rather than videos."""
    return path.suffix in _CONFIGS or holds_weights(path)


def data_of(path: Path) -> ClipDataModule:
    """The data of a training config, a run or a checkpoint, as they are before `setup`.

    Args:
        path: For which `names_data` is true.

    Raises:
        InputError: Its config names none.
    """
    config = _config(path)
    if config.get("data") is None:
        raise InputError(f"{path}: its config names no data: give --real a folder of videos, or a training config")
    return build_data(config)


def _config(path: Path) -> dict[str, Any]:
    """The training config in a file, or of a run or checkpoint."""
    if path.suffix not in _CONFIGS:
        path = find_weights(path)
        if path.suffix == ".ckpt":
            return read_config(read_checkpoint(path, mmap=True), path)
        path = path.with_name(CONFIG)
    if not path.is_file():
        raise InputError(f"{path}: no such file, so the data of training are not known: give --real")
    with path.open("rb") as file:
        return parse_config(file.read(_MAX_CONFIG_BYTES).decode(errors="replace"), path)


def _held_out(data: ClipDataModule, num_frames: int) -> VideoCollection:
    from datasets.datamodule import SyntheticVideos

    if isinstance(data, SyntheticVideos):
        length = max(num_frames, data.num_frames)  # they go on as long as they are looked at
        first, sizes = data.first_seed + data.num_videos, (data.num_videos, length, data.resolution)
        return RenderedVideos(data.video, first, *sizes, labelled=data.labelled)
    data.setup("fit")
    return data.videos
