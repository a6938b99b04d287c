"""The LightningDataModules: where the clips of a run come from.

A batch is {clip: uint8 [B, T, 3, H, W], t: int64 [B, T], c: float32 [B, c_dim], n: int64 [B], update: int64 [B]}, with
B the clips of this rank; it becomes float on the device. Its clip may come from the loader as a
`datasets.encoded_clips.EncodedBatch`, and is decoded once the rest is on the device.
"""

from __future__ import annotations

import torchvision_guard  # noqa: F401  (before Lightning, which imports torchvision)

# isort: split
import logging
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, Int64
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from datasets.clips import ClipSampler, SparseClips, crop_box
from datasets.collection import IndexedVideos, RenderedVideos, VideoCollection
from datasets.encoded_clips import EncodedBatch, EncodedClips, collate, jpeg_files
from datasets.frame_sampling import FrameSampler, RandomSpans
from datasets.index import scan
from datasets.jpeg_decoding import decoder_for, keeps_full_colour, on_host
from datasets.synthetic import SpriteVideo, SyntheticVideo
from datasets.view_sampling import ViewLaw, scale_limits
from errors import InputError

DecodeOn = Literal["worker", "device", "host"]

_log = logging.getLogger(__name__)
_SMALLEST_SIDE = 16
_PATIENCE = 600.0  # seconds; a worker that gives nothing for so long hangs


def _num_cores() -> int:
    """Cores this process may use; systems other than Linux only say how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ClipDataModule(LightningDataModule):
    """Endless training clips of a collection of videos; a subclass says of which.

    Args:
        resolution: Side, or height and width, of the clips in pixels; each at least 16.
        frame_sampler: Which frames of a video make a clip; None: `RandomSpans` with its defaults.
        batch_size: Clips per update, of all ranks together; a multiple of their number.
        num_workers: Processes that read and scale clips, at most one per CPU core; 0: the training process does it.
        prefetch_factor: Batches that each worker prepares ahead.
        seed: Decides order of the videos, frames, crops and flips.
        flip: Mirror half of the clips left to right.
        random_crop: Cut clips out at random places; otherwise at the centre.
        views: Scales and parts of the frame that clips show; None: whole frames at the resolution.
        decode_on: Where JPEG files are decoded, see `VideoFolder`.

    Attributes:
        videos: The collection; like the next four, there after ``setup("fit")``.
        video_lengths: Frames of each video that training looks at, int64 [N].
        labels: Conditions of the videos, float32 [N, c_dim].
        c_dim: Number of classes or width of the condition; 0 without labels.
        fps: Frames per second of the videos (of the middle one).
        start_update: The update whose clips come first; saved with the run as the position in the data.
        scale_limits: With views, the scale at which each video has its own pixels; views are then the law that these
            videos allow.
    """

    videos: VideoCollection

    def __init__(
        self,
        resolution: int | tuple[int, int],
        frame_sampler: FrameSampler | None = None,
        batch_size: int = 16,
        num_workers: int = 3,
        prefetch_factor: int = 2,
        seed: int = 0,
        flip: bool = False,
        random_crop: bool = False,
        views: ViewLaw | None = None,
        decode_on: DecodeOn = "worker",
    ) -> None:
        super().__init__()
        self.resolution = (resolution, resolution) if isinstance(resolution, int) else tuple(resolution)
        if min(self.resolution) < _SMALLEST_SIDE:
            raise InputError(
                f"resolution: {resolution} is not possible; each side needs at least {_SMALLEST_SIDE} pixels"
            )
        if batch_size < 1:
            raise InputError(f"batch_size: {batch_size} clips make no batch; give at least 1")
        self.frame_sampler = frame_sampler or RandomSpans()
        self.batch_size, self.num_workers, self.prefetch_factor = batch_size, num_workers, prefetch_factor
        self.seed, self.flip, self.random_crop = seed, flip, random_crop
        self.views, self.scale_limits = views, None
        self.decode_on, self._decode = decode_on, on_host
        self.sampler = ClipSampler(batch_size)

    @abstractmethod
    def collect(self) -> VideoCollection:
        """Finds the videos; called once per process."""

    @property
    @abstractmethod
    def fps(self) -> float:
        """Frames per second of the videos."""

    @property
    def video_lengths(self) -> Int64[np.ndarray, " N"]:
        return np.minimum(self.videos.lengths, self.frame_sampler.max_num_frames)

    @property
    def labels(self) -> Float32[np.ndarray, "N c_dim"]:
        return self.videos.labels

    @property
    def c_dim(self) -> int:
        return self.labels.shape[1]

    @property
    def start_update(self) -> int:
        return self.sampler.start

    @start_update.setter
    def start_update(self, update: int) -> None:
        self.sampler.start = update

    def setup(self, stage: str | None = None) -> None:
        if not hasattr(self, "videos"):
            self.videos = self.collect()
        if self.views is not None and self.scale_limits is None:
            self.scale_limits = scale_limits(self.videos, self.resolution)
            self.views = self.views.within(self.scale_limits)
        if self.trainer is not None:
            self.sampler.rank, self.sampler.world_size = self.trainer.global_rank, self.trainer.world_size
        if stage not in ("validate", "test") and self.batch_size % self.sampler.world_size:
            raise InputError(
                f"batch_size: {self.batch_size} clips cannot be shared equally by {self.sampler.world_size} processes; "
                "give a multiple of their number"
            )

    def clips(self, kind: type[SparseClips] = SparseClips) -> SparseClips:
        """The clips by address (update, n).

        Args:
            kind: Made of them: decoded, or not yet.
        """
        return kind(
            self.videos,
            self.frame_sampler,
            self.resolution,
            batch_size=self.batch_size,
            seed=self.seed,
            flip=self.flip,
            random_crop=self.random_crop,
            views=self.views,
            limits=self.scale_limits,
        )

    def train_dataloader(self) -> ClipLoader:
        # Workers run torch with one thread; more of them than cores only wait for each other. They live as long as the
        # iteration, which has no end, so they are started once and Lightning can let go of them when training stops.
        num_workers = min(self.num_workers, _num_cores())
        workers: dict[str, Any] = {}
        if num_workers:
            workers = {"prefetch_factor": self.prefetch_factor, "timeout": _PATIENCE}
        deferred = self.decode_on != "worker"
        return ClipLoader(
            DataLoader(
                self.clips(EncodedClips if deferred else SparseClips),
                collate_fn=collate if deferred else None,
                batch_sampler=self.sampler,
                num_workers=num_workers,
                pin_memory=torch.cuda.is_available(),
                **workers,
            )
        )

    # What Lightning's loops for `validate` and `test` run over: one empty batch. Which clips are measured, and how
    # often, is up to the protocols; a loader of clips would be one more place that decides it.

    def val_dataloader(self) -> Iterable[int]:
        return range(1)

    def test_dataloader(self) -> Iterable[int]:
        return range(1)

    def on_before_batch_transfer(self, batch: dict[str, Any] | int, dataloader_idx: int) -> dict[str, Any] | int:
        # The position moves with the batches that are used, not with those that were fetched ahead.
        if self.trainer is not None and self.trainer.training:
            self.start_update = int(batch["update"][0]) + 1
        return batch

    def on_after_batch_transfer(self, batch: dict[str, Any] | int, dataloader_idx: int) -> dict[str, Any] | int:
        if isinstance(batch, dict) and isinstance(batch.get("clip"), EncodedBatch):
            batch["clip"] = batch["clip"].decoded(self._decode).to(batch["t"].device, non_blocking=True)
        return batch

    def state_dict(self) -> dict[str, Any]:
        return {"update": self.start_update, "fps": self.fps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.start_update = int(state_dict["update"])


class ClipLoader:
    """The batches of a `DataLoader`, without being one.

    Lightning would rebuild a `DataLoader` around a sampler of its own where there are several processes; `ClipSampler`
    already gives each its share.

    Args:
        loader: Where the batches come from.
    """

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[dict[str, Any]]:
        # A generator, so that asking for an iterator starts no workers: Lightning asks once just to see that it can.
        try:
            yield from self.loader
        except InputError as error:
            raise type(error)(_own_words(error)) from error


def _own_words(error: InputError) -> str:
    """What an error says, without the traceback that torch puts before it when it comes from a worker."""
    *traceback, last = str(error).splitlines()
    return last.partition(": ")[2] if traceback else last


class VideoFolder(ClipDataModule):
    """Clips of the videos below a folder, or inside a zip or a prepared store.

    Args:
        root: The folder, zip or store.
        resolution: Side, or height and width, of the clips in pixels; each at least 16.
        frame_sampler: Which frames of a video make a clip; None: `RandomSpans` with its defaults.
        batch_size: Clips per update, of all ranks together; a multiple of their number.
        num_workers: Processes that read and scale clips, at most one per CPU core; 0: the training process does it.
        prefetch_factor: Batches that each worker prepares ahead.
        seed: Decides order of the videos, frames, crops and flips.
        flip: Mirror half of the clips left to right.
        random_crop: Cut clips out at random places; otherwise at the centre.
        labels: What to condition on. "none": nothing; "json": the labels in dataset.json beside the videos; "folders":
            the folder a video lies in.
        fps: Frames per second of videos that are images, and do not say.
        cache_dir: Where the scan is remembered; None: stylegan_v in $XDG_CACHE_HOME or ~/.cache.
        views: Scales and parts of the frame that clips show; None: whole frames at the resolution.
        decode_on: Where the frames of a store, zip or folder of JPEG files are decoded. "worker": by the processes that
            read them, like everything else. "device": by torchvision on the CUDA device that trains, which needs fewer
            workers; clips are the same, frames as its decoder has them (colours kept at half the resolution are not
            interpolated). "host": by the training process, with the bits of the workers: to compare.
    """

    images = False  # each image is a frame of the video that its folder is

    def __init__(
        self,
        root: str | Path,
        resolution: int | tuple[int, int],
        frame_sampler: FrameSampler | None = None,
        batch_size: int = 16,
        num_workers: int = 3,
        prefetch_factor: int = 2,
        seed: int = 0,
        flip: bool = False,
        random_crop: bool = False,
        labels: Literal["none", "json", "folders"] = "none",
        fps: float = 25.0,
        cache_dir: str | Path | None = None,
        views: ViewLaw | None = None,
        decode_on: DecodeOn = "worker",
    ) -> None:
        shared = (batch_size, num_workers, prefetch_factor, seed, flip, random_crop, views, decode_on)
        super().__init__(resolution, frame_sampler, *shared)
        self.root, self.label_source, self.image_fps, self.cache_dir = Path(root), labels, fps, cache_dir

    def prepare_data(self) -> None:
        # One process per machine looks first; the others then find what it found in the cache.
        self.videos = self.collect()

    def collect(self) -> IndexedVideos:
        index = scan(
            self.root,
            min_frames=self.frame_sampler.num_frames,
            labels=self.label_source,
            fps=self.image_fps,
            cache_dir=self.cache_dir,
            progress=self.trainer is None or self.trainer.is_global_zero,
            images=self.images,
        )
        boxes = [crop_box((video.height, video.width), self.resolution) for video in index.videos]
        small = sum(height < self.resolution[0] for _, _, height, _ in boxes)
        if small:
            noun = "images" if self.images else "videos"
            _log.warning("%s: %d %s are smaller than the resolution and are enlarged", self.root, small, noun)
        return IndexedVideos(index)

    def setup(self, stage: str | None = None) -> None:
        super().setup(stage)
        if stage == "fit" and self.decode_on != "worker":
            self._prepare_decoding()
        if stage == "fit" and self.trainer is not None and self.trainer.is_global_zero:
            self.videos.index.save(Path(self.trainer.default_root_dir) / "index.json")

    def _prepare_decoding(self) -> None:
        """Looks at what kind the videos are, and at a frame of two, so that a run that cannot work ends here."""
        for video in self.videos.index.videos:
            if video.kind in ("video", "store"):
                noun = "a video file" if video.kind == "video" else "a store of raw frames"
                raise InputError(f"data.decode_on: {video.name} is {noun}, not frames in JPEG files; give worker")
        (file, *_), _ = (jpeg_files(self.videos.open(i), [0]) for i in (0, -1))
        if self.decode_on == "host" or self.trainer is None:
            return
        self._decode = decoder_for(self.trainer.strategy.root_device)
        if not keeps_full_colour(file):
            _log.warning("%s: keeps colours at half the resolution, which this device does not interpolate", self.root)

    @property
    def fps(self) -> float:
        return float(np.median([video.fps for video in self.videos.index.videos]))


class ImageFolder(VideoFolder):
    """Images below a folder, or inside a zip, each one a clip of a single frame.

    To train on single frames of videos, take `VideoFolder` with a frame sampler of one frame instead.

    Args:
        root: The folder or zip; images at any depth are found.
        resolution: Side, or height and width, that the images are brought to, in pixels; each at least 16.
        batch_size: Images per update, of all ranks together; a multiple of their number.
        num_workers: Processes that read and scale images, at most one per CPU core; 0: the training process does it.
        prefetch_factor: Batches that each worker prepares ahead.
        seed: Decides order of the images, crops and flips.
        flip: Mirror half of the images left to right.
        random_crop: Cut images out at random places; otherwise at the centre.
        labels: What to condition on. "none": nothing; "json": the labels of the files in dataset.json beside them;
            "folders": the folder an image lies in.
        cache_dir: Where the scan is remembered; None: stylegan_v in $XDG_CACHE_HOME or ~/.cache.
        decode_on: Where JPEG files are decoded, see `VideoFolder`.
    """

    images = True

    def __init__(
        self,
        root: str | Path,
        resolution: int | tuple[int, int],
        batch_size: int = 16,
        num_workers: int = 3,
        prefetch_factor: int = 2,
        seed: int = 0,
        flip: bool = False,
        random_crop: bool = False,
        labels: Literal["none", "json", "folders"] = "none",
        cache_dir: str | Path | None = None,
        decode_on: DecodeOn = "worker",
    ) -> None:
        any_frame = RandomSpans(num_frames=1, max_num_frames=1)
        shared = (batch_size, num_workers, prefetch_factor, seed, flip, random_crop, labels)
        super().__init__(root, resolution, any_frame, *shared, cache_dir=cache_dir, decode_on=decode_on)


class SyntheticVideos(ClipDataModule):
    """Clips of videos made on the fly; each seed is a video.

    Args:
        num_videos: How many there are.
        num_frames: Length of each.
        resolution: Side, or height and width, of the clips in pixels; each at least 16.
        first_seed: Seed of the first video; an offset beyond ``num_videos`` gives held-out ones.
        video: What is shown: makes a video from (seed, num_frames, size).
        frame_sampler: Which frames of a video make a clip; None: `RandomSpans` with its defaults.
        batch_size: Clips per update, of all ranks together; a multiple of their number.
        num_workers: Processes that render clips, at most one per CPU core; 0: the training process does it.
        prefetch_factor: Batches that each worker prepares ahead.
        seed: Decides order of the videos and frames.
        labelled: Condition on the class of the videos.
        native_scales: Sizes of the videos over the resolution, of one after the other and again from the first.
        views: Scales and parts of the frame that clips show; None: whole frames at the resolution.
    """

    def __init__(
        self,
        num_videos: int,
        num_frames: int,
        resolution: int | tuple[int, int],
        first_seed: int = 0,
        video: Callable[[int, int, tuple[int, int]], SyntheticVideo] = SpriteVideo,
        frame_sampler: FrameSampler | None = None,
        batch_size: int = 16,
        num_workers: int = 3,
        prefetch_factor: int = 2,
        seed: int = 0,
        labelled: bool = False,
        native_scales: Sequence[float] = (1.0,),
        views: ViewLaw | None = None,
    ) -> None:
        super().__init__(resolution, frame_sampler, batch_size, num_workers, prefetch_factor, seed, views=views)
        if not native_scales or min(native_scales) <= 0:
            raise InputError(f"native_scales: {list(native_scales)}: give sizes of videos, all above 0")
        if num_videos < 1:
            raise InputError(f"num_videos: {num_videos} videos are no data; give at least 1")
        if num_frames < self.frame_sampler.num_frames:
            raise InputError(
                f"num_frames: videos of {num_frames} frames have no clips of {self.frame_sampler.num_frames}; raise it"
            )
        self.num_videos, self.num_frames, self.first_seed = num_videos, num_frames, first_seed
        self.video, self.labelled, self.native_scales = video, labelled, native_scales

    def collect(self) -> RenderedVideos:
        settings = {"labelled": self.labelled, "scales": self.native_scales}
        return RenderedVideos(
            self.video, self.first_seed, self.num_videos, self.num_frames, self.resolution, **settings
        )

    @property
    def fps(self) -> float:
        return self.videos.open(0).fps
