"""Clips for training: a few frames of one video at irregular times, cut and scaled to one size.

Everything random about a clip is a function of its address, which is the seed of the run, the number of the update and
the clip's number n in the global batch: any rank, worker or resumed run that asks for it gets the same clip.

Shape legend
    T       frames of a clip
    H, W    height and width of the source; h, w those of the clip
"""

from __future__ import annotations

import itertools
import logging
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from datasets.collection import VideoCollection
from datasets.frame_sampling import FrameSampler
from datasets.resampling import window_of
from datasets.sources import Source
from datasets.view_sampling import ClipView, ViewLaw, surrounded
from errors import InputError

_log = logging.getLogger(__name__)
_MASK = 0xFFFFFFFF
_ORDER, _DATA, _VIEW = zlib.crc32(b"order"), zlib.crc32(b"data"), zlib.crc32(b"view")
_MAX_SOURCES = 256  # kept; they are small, and limit by themselves how many decoders are open
_MAX_FAILURES = 8  # videos that may fail in a row before training stops


@dataclass(frozen=True)
class Framing:
    """What a clip shows of its frames: a box or a view of them, scaled, perhaps mirrored.

    Attributes:
        resolution: Height and width of the clip.
        place: Where the box is cut out, see `crop_box`.
        view: Instead of all of the box, at the resolution.
        flipped: Left to right.
    """

    resolution: tuple[int, int]
    place: Float64[np.ndarray, " 2"] | None = None
    view: ClipView | None = None
    flipped: bool = False

    def __call__(self, frames: UInt8[Tensor, "T 3 H W"]) -> UInt8[Tensor, "T 3 h w"]:
        if self.view is None:
            clip = fit(frames, self.resolution, self.place)
        else:
            clip = cut(frames, self.resolution, self.view, self.place)
        return clip.flip(3) if self.flipped else clip


class SparseClips(Dataset):
    """Clips addressed by (update, n), not by the number of a video.

    The videos are gone through in a random order, a new one for every pass, one video per clip. A video that cannot be
    read is logged and the next one in that order takes its place.

    Args:
        videos: Where the clips come from.
        frame_sampler: Which frames of a video make a clip.
        resolution: Height and width of the clips.
        batch_size: Clips of the global batch, that is of all ranks.
        seed: Of the run.
        flip: Mirror half of the clips left to right.
        random_crop: Cut the clip out at a random place; otherwise at the centre.
        views: At which scale and which part of the frame a clip shows; None: all of it, at the resolution.
        limits: The scale at which each video has its own pixels; needed with ``views``.

    Attributes:
        fatal: Errors of reading that are not mended by taking another video.
    """

    fatal: tuple[type[Exception], ...] = ()

    def __init__(
        self,
        videos: VideoCollection,
        frame_sampler: FrameSampler,
        resolution: tuple[int, int],
        *,
        batch_size: int,
        seed: int = 0,
        flip: bool = False,
        random_crop: bool = False,
        views: ViewLaw | None = None,
        limits: Float64[np.ndarray, " N"] | None = None,
    ) -> None:
        self.videos, self.frame_sampler, self.resolution = videos, frame_sampler, resolution
        self.batch_size, self.seed, self.flip, self.random_crop = batch_size, seed & _MASK, flip, random_crop
        self.views, self.limits = views, limits
        self._open: OrderedDict[int, Source] = OrderedDict()
        self._orders: OrderedDict[int, np.ndarray] = OrderedDict()

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        """The clip: {clip: uint8 [T, 3, h, w], t: int64 [T], c: float32 [c_dim], n, update}; with views, view [3]."""
        update, n = key
        rng = np.random.default_rng([self.seed, update, n, _DATA])
        video, frames, t = self._read(update * self.batch_size + n, rng)
        place = rng.uniform(size=2) if self.random_crop else None
        view = self._view(key, video)
        flipped = bool(self.flip and rng.uniform() < 0.5)
        clip = self._shown(frames, Framing(self.resolution, place, view, flipped))
        condition = torch.from_numpy(self.videos.labels[video])
        item = {"clip": clip, "t": torch.from_numpy(t), "c": condition, "n": n, "update": update}
        return item if view is None else item | {"view": self._facts(view, flipped)}

    # What a subclass may do otherwise: frames, and the clip that they become, as anything that it knows to use.

    def _frames(self, source: Source, times: list[int]) -> Any:
        return source.read(times)

    def _shown(self, frames: Any, framing: Framing) -> Any:
        return framing(frames)

    def _view(self, key: tuple[int, int], video: int) -> ClipView | None:
        if self.views is None:
            return None
        # A stream of its own: what else is drawn for a clip is the same with views and without.
        rng = np.random.default_rng([self.seed, *key, _VIEW])
        return self.views.draw(rng, self.resolution, float(self.limits[video]))

    def _facts(self, view: ClipView, flipped: bool) -> Float32[Tensor, " 3"]:
        """What the discriminator is told; a mirrored video is seen at the other side."""
        scale, y, x = view.facts(self.resolution)
        return torch.tensor([scale, y, -x if flipped else x])

    def video_at(self, position: int) -> int:
        """Which video the clip at ``position`` of the endless sequence of clips shows."""
        epoch, place = divmod(position, len(self.videos.lengths))
        if epoch not in self._orders:
            rng = np.random.default_rng([self.seed, epoch, _ORDER])
            self._orders[epoch] = rng.permutation(len(self.videos.lengths))
            _shrink(self._orders, 4)
        return int(self._orders[epoch][place])

    def _read(self, position: int, rng: np.random.Generator) -> tuple[int, Any, Int64[np.ndarray, " T"]]:
        """Number of a video, frames of it, and their times counted from the start of the window that is looked at."""
        for attempt in range(_MAX_FAILURES):
            video = self.video_at(position + attempt)
            length = int(self.videos.lengths[video])
            window = min(length, self.frame_sampler.max_num_frames)
            first = int(rng.integers(length - window + 1))
            t = self.frame_sampler.sample(window, rng)
            try:
                return video, self._frames(self._source(video), (first + t).tolist()), t
            except self.fatal:
                raise
            except Exception as error:  # decoders raise whatever they like; a bug of ours ends below all the same
                self._open.pop(video, None)
                _log.warning("video %d cannot be read and is replaced by the next one: %r", video, error)
                last = error
        raise InputError(f"{_MAX_FAILURES} videos in a row cannot be read, the last one because of: {last!r}") from last

    def _source(self, video: int) -> Source:
        source = self._open.pop(video) if video in self._open else self.videos.open(video)
        self._open[video] = source  # the most recently used is last
        _shrink(self._open, _MAX_SOURCES)
        return source


def _shrink(cache: OrderedDict[int, Any], size: int) -> None:
    while len(cache) > size:
        cache.popitem(last=False)


class ClipSampler(Sampler[list[tuple[int, int]]]):
    """The addresses of this rank's clips, one list per update, without end.

    Clip n of the global batch belongs to rank n mod world_size.

    Args:
        batch_size: Clips of the global batch.
        rank: Number of this process.
        world_size: Number of processes.
        start: First update; an iteration that begins later starts from what the attribute says then.
    """

    def __init__(self, batch_size: int, *, rank: int = 0, world_size: int = 1, start: int = 0) -> None:
        self.batch_size, self.rank, self.world_size, self.start = batch_size, rank, world_size, start

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        numbers = range(self.rank, self.batch_size, self.world_size)
        for update in itertools.count(self.start):
            yield [(update, n) for n in numbers]


def crop_box(
    size: tuple[int, int], target: tuple[int, int], place: Float64[np.ndarray, " 2"] | None = None
) -> tuple[int, int, int, int]:
    """The largest box of the target's shape inside a frame.

    Args:
        size: Height and width of the frame.
        target: Height and width whose ratio the box takes.
        place: Where the box lies (y, x), each in [0, 1): 0 top or left, towards 1 bottom or right; None: centred.

    Returns:
        Top, left, height, width in pixels.
    """
    (height, width), (target_height, target_width) = size, target
    if height * target_width <= width * target_height:
        box = height, min(width, max(1, round(height * target_width / target_height)))
    else:
        box = min(height, max(1, round(width * target_height / target_width))), width
    free = height - box[0], width - box[1]
    top, left = (
        (f // 2 for f in free) if place is None else (int(p * (f + 1)) for p, f in zip(place, free, strict=True))
    )
    return top, left, *box


def fit(
    frames: UInt8[Tensor, "T 3 H W"], size: tuple[int, int], place: Float64[np.ndarray, " 2"] | None = None
) -> UInt8[Tensor, "T 3 h w"]:
    """Frames cut to the shape of ``size`` and scaled to it, all in the same way.

    The filter is bicubic and anti-aliased (the window grows with the reduction): of the fast ones it is the closest to
    the Lanczos filter with which the published data sets were made.

    Args:
        frames: The frames of a clip.
        size: Height and width wanted.
        place: Where the box is cut out, see `crop_box`; None: at the centre.
    """
    top, left, height, width = crop_box((frames.shape[2], frames.shape[3]), size, place)
    frames = frames[:, :, top : top + height, left : left + width]
    if (height, width) == size:
        return frames.contiguous()
    if frames.is_cpu:
        return F.interpolate(frames, size, mode="bicubic", antialias=True)
    # Elsewhere torch knows this filter for floats only; the two differ by rounding.
    scaled = F.interpolate(frames.float(), size, mode="bicubic", antialias=True)
    return scaled.round().clamp(0, 255).to(torch.uint8)


def cut(
    frames: UInt8[Tensor, "T 3 H W"],
    resolution: tuple[int, int],
    view: ClipView,
    place: Float64[np.ndarray, " 2"] | None = None,
) -> UInt8[Tensor, "T 3 h w"]:
    """What a view shows of frames, in the resolution; the box of `crop_box` is the whole frame that it looks at.

    Args:
        frames: The frames of a clip.
        resolution: Height and width wanted.
        view: Of frames of that shape; a native one gives what `fit` gives.
        place: As in `fit`.
    """
    if view.native(resolution):
        return fit(frames, resolution, place)
    top, left, height, width = crop_box((frames.shape[2], frames.shape[3]), resolution, place)
    frames = frames[:, :, top : top + height, left : left + width]
    shown = window_of(frames, view.size, view.window, view.shift)
    return surrounded(shown.round().clamp(0, 255).to(torch.uint8), resolution)
