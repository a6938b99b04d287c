"""The two sides of a comparison: real videos, and generated ones or others in files, as clips by address.

Shape legend
    B, T    clips, frames of a clip
    H, W    height and width
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor

from datasets.clips import fit
from datasets.collection import IndexedVideos, RenderedVideos, VideoCollection
from datasets.index import scan
from datasets.manifest import digest, halves
from datasets.sources import Source
from errors import InputError
from stylegan_v.metrics.clip_choice import Chosen, ClipAddress, as_real, one_per_video, random_videos
from stylegan_v.metrics.jpeg import through_jpeg
from stylegan_v.metrics.motion.sets import data_of, holds_weights, names_data, open_collection
from stylegan_v.metrics.protocols import MetricProtocol
from stylegan_v.networks import Generator
from stylegan_v.networks.time_encoding import float64_device
from stylegan_v.rendering import MotionNoise, VideoLatents, draw_latents, render, to_uint8

if TYPE_CHECKING:
    from datasets.datamodule import ClipDataModule

Part = Literal["all", "validation", "test"]
LabelSource = Literal["none", "json", "folders"]

_MAX_OPEN = 8
_CHUNK = 64  # frames that the generator works on at once
_FOLDED = 4  # frames from which on `rendering` folds the network for each video
_HELD_OUT = 2**20  # seeds between the videos of training and those of each half
_NUM_HELD_OUT = 2048  # videos of a collection without end


class SomeVideos:
    """Some videos of a collection, as a collection.

    Args:
        videos: The collection.
        indices: Which, ascending.
    """

    def __init__(self, videos: VideoCollection, indices: Int64[np.ndarray, " K"]) -> None:
        self.videos, self.indices = videos, indices
        self.lengths, self.labels = videos.lengths[indices], videos.labels[indices]

    def open(self, index: int) -> Source:
        return self.videos.open(int(self.indices[index]))


class Filmed:
    """Clips of videos that exist, read by address; by one thread of their own, so that clips can be fetched ahead.

    Args:
        videos: The collection.
        manifest: Hash of what it holds.
        name: For messages and results.
    """

    def __init__(self, videos: VideoCollection, manifest: str, name: str) -> None:
        self.videos, self.manifest, self.name = videos, manifest, name
        self._open: OrderedDict[int, Source] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, "clips")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the first video."""
        return self.videos.open(0).size

    def fetch(self, addresses: Sequence[ClipAddress], size: tuple[int, int]) -> Future[UInt8[Tensor, "B T 3 H W"]]:
        """`read`, begun now and waited for later."""
        return self._thread.submit(self._read, addresses, size)

    def read(self, addresses: Sequence[ClipAddress], size: tuple[int, int]) -> UInt8[Tensor, "B T 3 H W"]:
        """Clips of one size; of different lengths, which only image networks take, all their frames as one."""
        return self.fetch(addresses, size).result()

    def _read(self, addresses: Sequence[ClipAddress], size: tuple[int, int]) -> UInt8[Tensor, "B T 3 H W"]:
        clips = [fit(self._source(address.video).read(address.times), size) for address in addresses]
        if len({len(clip) for clip in clips}) == 1:
            return torch.stack(clips)
        return torch.cat(clips).unsqueeze(0)

    def _source(self, video: int) -> Source:
        self._open[video] = self._open.pop(video) if video in self._open else self.videos.open(video)
        while len(self._open) > _MAX_OPEN:
            self._open.popitem(last=False)
        return self._open[video]


class RealSide(Filmed):
    """Real videos, or one half of them.

    Which half a video is in depends on its name alone. Choosing a checkpoint looks at the validation half, so that the
    test half stays unseen.

    Args:
        videos: Of that part.
        manifest: Hash of what the part holds.
        name: For messages and results.
        part: Which part it is.
    """

    def __init__(self, videos: VideoCollection, manifest: str, name: str, part: Part = "all") -> None:
        super().__init__(videos, manifest, name)
        self.part = part

    @classmethod
    def open(cls, path: str | Path, part: Part = "all", labels: LabelSource = "none") -> RealSide:
        """The videos that a path means.

        Args:
            path: A folder, zip, store or video file; or a training config, run or checkpoint, whose data are meant.
            part: All, or one half.
            labels: Of videos in a folder, zip or store: "json", "folders" or "none", as `datasets.index.scan`; a
                config says by itself.

        Raises:
            InputError: There are none, or too few for two halves.
        """
        path = Path(path).expanduser()
        if not path.exists():
            raise InputError(f"{path}: there is nothing: give a folder, zip or store of videos, a run or a config")
        if not names_data(path):
            return cls._part(IndexedVideos(scan(path, labels=labels)), part, str(path))
        data = data_of(path)
        data.setup("fit")
        return cls.of_data(data, part)

    @classmethod
    def of_data(cls, data: ClipDataModule, part: Part = "all") -> RealSide:
        """The videos of a run; of those made from seeds, ones that training does not see.

        Args:
            data: After ``setup``.
            part: All, or one half.
        """
        from datasets.datamodule import SyntheticVideos

        name = str(getattr(data, "root", type(data).__name__))
        if not isinstance(data, SyntheticVideos):
            return cls._part(data.videos, part, name)
        first = data.first_seed + _HELD_OUT * (1 + ("all", "validation", "test").index(part))
        sizes = (max(data.num_videos, _NUM_HELD_OUT), data.num_frames, data.resolution)
        videos = RenderedVideos(data.video, first, *sizes, labelled=data.labelled, scales=data.native_scales)
        return cls(videos, digest(videos), name, part)

    @classmethod
    def _part(cls, videos: VideoCollection, part: Part, name: str) -> RealSide:
        if part != "all":
            indices = halves(_names(videos))[0 if part == "validation" else 1]
            if not len(indices):
                raise InputError(f"{name}: {len(videos.lengths)} videos have no {part} half: give more, or all of them")
            videos = SomeVideos(videos, np.sort(indices))
        return cls(videos, _digest(videos), name, part)


class FilmedSide(Filmed):
    """Generated videos that are files, or any other data set, in the place of generated clips."""

    @classmethod
    def open(cls, path: str | Path) -> FilmedSide:
        """The videos below a path.

        Raises:
            InputError: There are none.
        """
        path = Path(path).expanduser()
        if not path.exists():
            raise InputError(f"{path}: there is nothing: give videos, or a run, checkpoint or weights")
        videos = open_collection(path, 1)
        return cls(videos, _digest(videos), str(path))

    def choose(self, protocol: MetricProtocol) -> Chosen:
        """All clips that the protocol can take, in its order."""
        filmed, lengths = protocol.filmed, self.videos.lengths
        return one_per_video(
            lengths, protocol.clip, protocol.seed, starts=filmed.starts, order=filmed.order, max_num=None
        )


class GeneratedSide:
    """Clips of a generator, by number.

    Args:
        generator: Averaged weights, in evaluation mode.
        real: Where labels, and random times, come from.
        name: For results.
        manifest: Hash of the weights' file, for results; None: there is none.
    """

    def __init__(
        self, generator: Generator, real: RealSide, name: str = "generator", manifest: str | None = None
    ) -> None:
        self.generator, self.name, self.manifest = generator, name, manifest
        self.lengths = real.videos.lengths
        self.labels = real.videos.labels if real.videos.labels.shape[1] == generator.c_dim else None
        self.labelled: str | None = None  # for results
        if generator.c_dim:
            self.labelled = "all classes equally" if self.labels is None else "of random real videos"
        self.size: tuple[int, int] = generator.resolution

    def clips(
        self, protocol: MetricProtocol, numbers: Sequence[int], start: int | None = None
    ) -> UInt8[Tensor, "B T 3 H W"]:
        """Clips of videos with these numbers, each of latents of its own, on the generator's device.

        Args:
            protocol: Decides frames, times and seed.
            numbers: Of the videos.
            start: First time of all of them; None: as the protocol says.
        """
        if start is not None:
            starts = [start] * len(numbers)
        elif protocol.fake.starts == "zero":
            starts = [0] * len(numbers)
        else:
            starts = as_real(self.lengths, protocol.clip, numbers, protocol.fake.max_start, protocol.seed)
        if len(set(starts)) == 1:
            clips = self._render(protocol, list(numbers), starts[0])
        elif protocol.clip.num_frames < _FOLDED:
            clips = self._render_at_once(protocol, list(numbers), starts)
        else:  # each by a network that is folded for it, so that nothing is gained by putting them together
            each = zip(numbers, starts, strict=True)
            clips = torch.cat([self._render(protocol, [number], first) for number, first in each])
        quality = protocol.fake.jpeg_quality
        return clips if quality is None else through_jpeg(clips, quality)

    def _render(self, protocol: MetricProtocol, numbers: list[int], start: int) -> UInt8[Tensor, "B T 3 H W"]:
        latents = self._latents(protocol, numbers)
        return torch.cat(list(render(self.generator, latents, _times(protocol, start), chunk=_CHUNK)), dim=1)

    @torch.no_grad()
    def _render_at_once(
        self, protocol: MetricProtocol, numbers: list[int], starts: list[int]
    ) -> UInt8[Tensor, "B T 3 H W"]:
        """Short clips that each start at a time of its own, in few passes of the network."""
        latents, synthesis = self._latents(protocol, numbers), self.generator.synthesis
        motion = []
        for place, (number, start) in enumerate(zip(numbers, starts, strict=True)):
            c = None if latents.c is None else latents.c[place : place + 1]
            motion.append(synthesis.motion.path(self._noise(protocol.seed, number).window, c)(_times(protocol, start)))
        pairs = zip(latents.ws.split(_CHUNK), torch.cat(motion).to(latents.ws.device).split(_CHUNK), strict=True)
        return torch.cat([to_uint8(synthesis.frames(ws, motion_v, noise_mode="const")) for ws, motion_v in pairs])

    def _latents(self, protocol: MetricProtocol, numbers: list[int]) -> VideoLatents:
        c, psi = self._conditions(protocol.seed, numbers), protocol.fake.truncation_psi
        return draw_latents(self.generator, protocol.seed, numbers, c=c, truncation_psi=psi)

    def _noise(self, seed: int, number: int) -> MotionNoise:
        device = float64_device(self.generator.mapping.w_avg.device)
        return MotionNoise(seed, torch.tensor([number], device=device), self.generator.synthesis.motion.z_dim)

    def _conditions(self, seed: int, numbers: list[int]) -> Float32[Tensor, "B c_dim"] | None:
        if not self.generator.c_dim or self.labels is None:
            return None  # without such labels, all classes equally
        chosen = self.labels[random_videos(len(self.labels), numbers, seed)]
        return torch.from_numpy(chosen).to(self.generator.mapping.w_avg.device)


def _times(protocol: MetricProtocol, start: int) -> Float64[Tensor, " T"]:
    return start + protocol.clip.stride * torch.arange(protocol.clip.num_frames, dtype=torch.float64)


def is_generator(path: str | Path) -> bool:
    """Whether a path is a model rather than videos."""
    return holds_weights(Path(path).expanduser())


def _names(videos: VideoCollection) -> list[str]:
    if isinstance(videos, IndexedVideos):
        return [video.name for video in videos.index.videos]
    return [str(number) for number in range(len(videos.lengths))]


def _digest(videos: VideoCollection) -> str:
    """Hash of a collection; of some videos of one, that of the whole and which they are."""
    if not isinstance(videos, SomeVideos):
        return digest(videos)
    import hashlib

    return hashlib.sha256(f"{digest(videos.videos)} {videos.indices.tolist()}".encode()).hexdigest()
