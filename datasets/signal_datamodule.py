"""The LightningDataModules of fitting: one video, and what of it an update sees.

A batch of pixels is {pixels: int64 [N], rgb: uint8 [N, 3], update: int}, one of whole frames {frames: int64 [F],
rgb: uint8 [F, 3, H, W], update: int} and, where a mask hides something, visible: bool [F, 1, H, W], with rgb black
elsewhere; of several processes each has its part.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from datasets.acceptance_video import acceptance_video
from datasets.endless import EndlessDataModule
from datasets.masks import read_mask
from datasets.single_signal import SingleSignal, open_video, read_signal
from errors import InputError


class SignalDataModule(EndlessDataModule):
    """Endless batches of one video; a subclass says of which.

    Args:
        batch_size: Pixels per update, of all processes together; a multiple of their number.
        batch_frames: Frames per update, likewise, of fields that know whole frames only.
        seed: Decides which pixels and frames.

    Attributes:
        signal: The video; there after ``setup``.
        whole_frames: What a batch holds; decided by what is fitted.
    """

    signal: SingleSignal

    def __init__(self, batch_size: int = 16_384, batch_frames: int = 1, seed: int = 0) -> None:
        super().__init__()
        if batch_size < 1 or batch_frames < 1:
            raise InputError(f"batch_size, batch_frames: {batch_size}, {batch_frames}; give at least 1 of each")
        self.batch_size, self.batch_frames, self.seed = batch_size, batch_frames, seed
        self.whole_frames = False

    @abstractmethod
    def collect(self) -> SingleSignal:
        """Reads the video; called once per process."""

    def setup(self, stage: str | None = None) -> None:
        if not hasattr(self, "signal"):
            self.signal = self.collect()

    def part(self, update: int, rank: int = 0, world_size: int = 1) -> dict[str, Any]:
        _, total = self.shared
        share, first = total // world_size, total // world_size * rank
        if self.whole_frames:
            places = range(update * total + first, update * total + first + share)
            frames = self.signal.frame_numbers(self.seed, places)
            batch = {"frames": torch.tensor(frames), "update": update}
            if self.signal.visible is None:
                return batch | {"rgb": self.signal.frames(frames)}
            rgb, visible = self.signal.seen(frames)
            return batch | {"rgb": rgb, "visible": visible}
        pixels = self.signal.pixel_numbers((self.seed, update), range(first, first + share))
        return {"pixels": pixels, "rgb": self.signal.pixels[pixels], "update": update}

    @property
    def shared(self) -> tuple[str, int]:
        return ("batch_frames", self.batch_frames) if self.whole_frames else ("batch_size", self.batch_size)

    @property
    def num_bytes(self) -> int:
        return self.signal.num_bytes

    def move_to(self, device: torch.device) -> None:
        self.signal.to(device)


class VideoSignal(SignalDataModule):
    """A video file, or frames in a folder or zip.

    Args:
        path: The file, folder or zip; it holds one video.
        first: The first frame that counts.
        num_frames: At most so many count; None: all that follow.
        size: Height and width that frames are brought to; None: their own.
        batch_size: Pixels per update, of all processes together; a multiple of their number.
        batch_frames: Frames per update, likewise, of fields that know whole frames only.
        seed: Decides which pixels and frames.
        fps: Frames per second of images, which do not say.
        cache_dir: Where the scan is remembered; None: stylegan_v in $XDG_CACHE_HOME or ~/.cache.
        mask: A picture, or a video, folder or .npy array with a picture for each frame, of the size of the video or of
            what its frames are brought to: white is hidden and never seen in training, black is visible. None: nothing.
        held_out: Frames that are never seen in training: "odd" for every other one, of which the field knows nothing,
            as it is built for the even ones; or a list of numbers, of a field that is built for all. None: none.
        truth_known: What a mask hides is what should stand there, and is measured against; false: it is damage.
    """

    def __init__(
        self,
        path: str | Path,
        first: int = 0,
        num_frames: int | None = None,
        size: Sequence[int] | None = None,
        batch_size: int = 16_384,
        batch_frames: int = 1,
        seed: int = 0,
        fps: float = 25.0,
        cache_dir: str | Path | None = None,
        mask: str | Path | None = None,
        held_out: str | Sequence[int] | None = None,
        truth_known: bool = True,
    ) -> None:
        super().__init__(batch_size, batch_frames, seed)
        if size is not None and len(size) != 2:
            raise InputError(f"data.size {list(size)}: give height and width")
        self.path, self.first, self.num_frames, self.size = path, first, num_frames, size
        self.fps, self.cache_dir = fps, cache_dir
        self.mask, self.held_out, self.truth_known = mask, held_out, truth_known

    def collect(self) -> SingleSignal:
        name, source = open_video(self.path, self.fps, self.cache_dir)
        signal = read_signal(name, source, self.first, self.num_frames, self.size)
        signal.truth_known = self.truth_known
        if self.held_out is not None:
            signal.hold_out(self.held_out)
        if self.mask is not None:
            whole = (len(source), *source.size)
            signal.hide(read_mask(self.mask, signal.size, whole, self.first, self.cache_dir), str(self.mask))
        return signal


class SyntheticSignal(SignalDataModule):
    """The video that fields of videos are compared on without any file.

    Args:
        num_frames: Of the video.
        size: Height and width in pixels.
        batch_size: Pixels per update, of all processes together; a multiple of their number.
        batch_frames: Frames per update, likewise, of fields that know whole frames only.
        seed: Decides which pixels and frames.
    """

    def __init__(
        self,
        num_frames: int = 16,
        size: tuple[int, int] = (32, 32),
        batch_size: int = 4096,
        batch_frames: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, batch_frames, seed)
        self.num_frames, self.size = num_frames, size

    def collect(self) -> SingleSignal:
        return SingleSignal(acceptance_video(self.num_frames, self.size), "acceptance video")
