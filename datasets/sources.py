"""Where frames come from: anything with a length, a frame rate and exact access to frames by number.

Shape legend
    T       frames asked for
    H, W    height and width
"""

from __future__ import annotations

import io
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from natsort import natsorted
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from datasets.open_files import OpenFiles
from datasets.video_file import VideoFile, as_clip, check_times
from datasets.zip_frames import ZipFrames
from errors import InputError

__all__ = ["FrameFolder", "FrameStore", "FrameZip", "Source", "VideoFile"]

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
DEFAULT_FPS = 25.0
MAX_FRAME_BYTES = 2**26
_ORIENTATION, _UPRIGHT = 0x0112, 1  # the EXIF tag, and its value where nothing has to be turned

T = TypeVar("T")

_open_zips: OpenFiles[ZipFrames] = OpenFiles(capacity=4)


@runtime_checkable
class Source(Protocol):
    """One video: `len(source)` frames of one size, numbered from 0, read by number.

    Sources can be pickled and survive a fork: whatever they hold open is opened again where it is needed.
    """

    @property
    def fps(self) -> float:
        """Frames per second."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame, in pixels, as it is shown (rotation applied)."""

    def __len__(self) -> int: ...

    def read(self, times: Sequence[int]) -> UInt8[Tensor, "T 3 H W"]:
        """The frames of these numbers, each in [0, len), in the order given; RGB.

        Raises:
            IndexError: A number outside the video.
        """
        ...


def needs_turning(image: Image.Image) -> bool:
    """Whether the metadata of an image ask for it to be turned or mirrored."""
    return image.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT


def decode_image(data: bytes) -> UInt8[np.ndarray, "H W 3"]:
    """RGB pixels of an image file, upright; greyscale is repeated, 16-bit greyscale scaled, transparency dropped.

    Raises:
        OSError: Not an image, or an incomplete one.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            # Pillow copies what is upright and in colour already; most frames are.
            upright = ImageOps.exif_transpose(image) if needs_turning(image) else image
            if upright.mode.startswith("I"):  # 16 bits; a plain conversion would clip them to white
                return np.repeat((np.asarray(upright) // 257).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
            return np.asarray(upright if upright.mode == "RGB" else upright.convert("RGB"))
    except UnidentifiedImageError as error:  # whose own words name an object in memory
        raise OSError("no image of a known kind") from error
    except (Image.DecompressionBombError, SyntaxError, ValueError, EOFError) as error:
        raise OSError(str(error)) from error


class Frames(ABC):
    """A video of one image file per frame, in natural order of their names; a subclass says where they lie.

    Args:
        name: For messages.
        fps: Frames per second; images do not say.
        size: Height and width of the first frame, where they are known: saves decoding it to learn them.
    """

    def __init__(self, name: str, fps: float, size: tuple[int, int] | None = None) -> None:
        self.name = name
        self.fps = fps
        self._size = size
        self._said_damaged = False

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def data(self, index: int) -> bytes:
        """Content of the image file of a frame."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the first frame, which all others are brought to."""
        if self._size is None:
            self._size = self._whole_frame(0).shape[:2]
        return self._size

    def read(self, times: Sequence[int]) -> UInt8[Tensor, "T 3 H W"]:
        """The frames of these numbers, in the order given; a damaged one is replaced by its neighbour, with a warning.

        Raises:
            IndexError: A number outside the video.
            InputError: No frame can be decoded.
        """
        frames = {time: self._fitting_frame(time) for time in check_times(times, len(self), self.name)}
        return as_clip([frames[int(time)] for time in times], self.size)

    def _fitting_frame(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        frame = self._whole_frame(index)
        if index == 0 and self._size is None:
            self._size = frame.shape[:2]
        height, width = self.size
        if frame.shape[:2] == (height, width):
            return frame
        self._say_damaged(f"frame {index} is {frame.shape[0]}x{frame.shape[1]}, not {height}x{width}: it is resized")
        return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS))

    def _whole_frame(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        """The frame, or the nearest one that can be decoded."""
        return self.nearest(index, decode_image)

    def nearest(self, index: int, use: Callable[[bytes], T]) -> T:
        """What ``use`` makes of the image file of a frame, or of the nearest one that can be read, with a warning.

        Args:
            index: Of the frame.
            use: Raises OSError where a file is damaged.

        Raises:
            InputError: All files are.
        """
        for neighbour in by_distance(index, len(self)):
            try:
                return use(self.data(neighbour))
            except OSError as error:
                self._say_damaged(f"frame {neighbour} cannot be decoded ({error}), a neighbour stands in")
        raise InputError(f"{self.name}: none of its {len(self)} frames can be decoded; mend or remove them")

    def _say_damaged(self, what: str) -> None:
        if not self._said_damaged:
            self._said_damaged = True
            logger.warning("%s: damaged: %s", self.name, what)


class FrameFolder(Frames):
    """A folder of images as a source.

    Args:
        path: The folder; of its files, the images count.
        fps: Frames per second.
        size: Height and width of the first frame, where they are known.
    """

    def __init__(self, path: str | Path, fps: float = DEFAULT_FPS, size: tuple[int, int] | None = None) -> None:
        super().__init__(str(path), fps, size)
        self.path = Path(path)
        self._files: list[str] | None = None

    @property
    def files(self) -> list[str]:
        """Names of the frames, in natural order."""
        if self._files is None:
            if not self.path.is_dir():
                raise InputError(f"{self.path}: no such folder; give a folder of images")
            self._files = natsorted(file.name for file in self.path.iterdir() if is_image(file.name))
        return self._files

    def __len__(self) -> int:
        return len(self.files)

    def data(self, index: int) -> bytes:
        return read_bounded(self.path / self.files[index])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": None}


class FrameZip(Frames):
    """Images of one folder inside a zip as a source; nothing is unpacked to disk.

    Args:
        path: The zip, with or without entries for its folders.
        prefix: The folder inside, "." for the top.
        fps: Frames per second.
        size: Height and width of the first frame, where they are known.
    """

    def __init__(
        self, path: str | Path, prefix: str = ".", fps: float = DEFAULT_FPS, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(f"{path}/{prefix}", fps, size)
        self.path, self.prefix = Path(path), prefix

    def __len__(self) -> int:
        return open_zip(self.path).num_frames(self.prefix)

    def data(self, index: int) -> bytes:
        return open_zip(self.path).read(self.prefix, index, MAX_FRAME_BYTES)


class FrameStore:
    """Raw uint8 frames on disk, mapped into memory: what `prepare --format raw` writes.

    Args:
        path: A .npy file of shape [F, 3, H, W].
        fps: Frames per second.
    """

    def __init__(self, path: str | Path, fps: float = DEFAULT_FPS) -> None:
        self.path = Path(path)
        self.fps = fps
        self._map: np.ndarray | None = None

    @property
    def frames(self) -> UInt8[np.ndarray, "F 3 H W"]:
        """All frames, read from disk where they are touched."""
        if self._map is None:
            try:
                frames = np.load(self.path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise InputError(f"{self.path}: not a frame store ({error}); prepare it again") from error
            if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1] != 3:
                raise InputError(
                    f"{self.path}: holds {frames.dtype} {frames.shape}, not uint8 frames; prepare it again"
                )
            self._map = frames
        return self._map

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame."""
        return self.frames.shape[2], self.frames.shape[3]

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, times: Sequence[int]) -> UInt8[Tensor, "T 3 H W"]:
        """The frames of these numbers, in the order given.

        Raises:
            IndexError: A number outside the video.
        """
        check_times(times, len(self), self.path)
        return torch.from_numpy(self.frames[np.asarray(times, dtype=np.int64)])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None}


def by_distance(index: int, length: int) -> Iterator[int]:
    """The numbers below ``length``, those nearest to ``index`` first, of two as near the lower one."""
    yield index
    for distance in range(1, length):
        yield from (i for i in (index - distance, index + distance) if 0 <= i < length)


def open_zip(path: Path) -> ZipFrames:
    """The zip, as this process and thread have it open."""
    return _open_zips.get(path, lambda: ZipFrames(path, is_image))


def read_bounded(path: Path) -> bytes:
    """Content of an image file.

    Raises:
        OSError: Unreadable, or larger than `MAX_FRAME_BYTES`.
    """
    with path.open("rb") as file:
        data = file.read(MAX_FRAME_BYTES + 1)
    if len(data) > MAX_FRAME_BYTES:
        raise OSError(f"{path.name} is larger than {MAX_FRAME_BYTES} bytes")
    return data


def is_image(name: str) -> bool:
    """Whether a file name is that of a frame; hidden files are not."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES and not Path(name).name.startswith(".")
