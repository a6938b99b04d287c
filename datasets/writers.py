"""How frames get into files unchanged: as numbered png files, or as one array; and what all writers have in common.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from numpy.lib import format as npy
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from datasets.embedding import PNG_KEYWORD
from errors import InputError


class FrameWriter:
    """What all writers check: frames of one size that fits into the format, and at least one of them.

    Args:
        max_side: Pixels of the longest side that the format can hold; None: who encodes will say.
    """

    def __init__(self, max_side: int | None = None) -> None:
        self._max_side = max_side
        self._size: tuple[int, int] | None = None

    def _pixels(self, frames: UInt8[Tensor, "F 3 H W"]) -> UInt8[np.ndarray, "F H W 3"]:
        if len(frames):
            height, width = frames.shape[2:]
            self._check_size(height, width)
            self._size = height, width
        return np.ascontiguousarray(rearrange(frames, "f c h w -> f h w c").cpu().numpy())

    def _check_size(self, height: int, width: int) -> None:
        if self._size not in (None, (height, width)):
            raise InputError(
                f"a frame of {height}x{width} after frames of {self._size[0]}x{self._size[1]}; give all one size"
            )
        if not height * width:
            raise InputError(f"frames of {height}x{width} hold no pixel; give a larger size")
        if self._max_side is not None and max(height, width) > self._max_side:
            raise InputError(
                f"frames of {height}x{width} do not fit, {self._max_side} pixels a side do; choose .npy or another size"
            )

    def _check_not_empty(self) -> None:
        if self._size is None:
            raise InputError("a video needs at least one frame; none was written")


def save_png(path: Path, pixels: UInt8[np.ndarray, "H W 3"], comment: str | None = None) -> None:
    """Writes a picture, losing nothing.

    Args:
        path: A new file.
        pixels: RGB.
        comment: Text to leave in the file.
    """
    text = PngInfo()
    if comment is not None:
        text.add_text(PNG_KEYWORD, comment)
    Image.fromarray(pixels).save(path, "PNG", compress_level=3, pnginfo=text)


class PngWriter(FrameWriter):
    """A folder of numbered png files.

    Args:
        path: The folder.
        comment: Text to leave in the first file.
    """

    def __init__(self, path: Path, comment: str | None = None) -> None:
        super().__init__()
        self._path, self._comment = path, comment
        self._num_frames = 0
        path.mkdir()

    def write(self, frames: UInt8[Tensor, "F 3 H W"]) -> None:
        for pixels in self._pixels(frames):
            save_png(self._path / f"{self._num_frames:06d}.png", pixels, None if self._num_frames else self._comment)
            self._num_frames += 1

    def close(self) -> None:
        self._check_not_empty()

    def abandon(self) -> None:
        """Nothing is held open."""


class FileWriter(FrameWriter, ABC):
    """A file that is written piece by piece; a subclass says what the pieces are.

    Args:
        path: The file.
        max_side: As for `FrameWriter`.
    """

    def __init__(self, path: Path, max_side: int | None = None) -> None:
        super().__init__(max_side)
        self._file: BinaryIO = path.open("xb")
        self._num_frames = 0

    def write(self, frames: UInt8[Tensor, "F 3 H W"]) -> None:
        for pixels in self._pixels(frames):
            if not self._num_frames:
                self._begin(*pixels.shape[:2])
            self._add(pixels)
            self._num_frames += 1

    def close(self) -> None:
        self._check_not_empty()
        self._finish()
        self._file.close()

    def abandon(self) -> None:
        self._file.close()

    @abstractmethod
    def _begin(self, height: int, width: int) -> None:
        """Writes what stands before the first frame."""

    @abstractmethod
    def _add(self, pixels: UInt8[np.ndarray, "H W 3"]) -> None:
        """Writes a frame; ``self._num_frames`` are there already."""

    @abstractmethod
    def _finish(self) -> None:
        """Writes what stands after the last frame, and what is known only then."""


class NpyWriter(FileWriter):
    """One array [F, H, W, 3] of uint8, frame after frame; `numpy.load(path, mmap_mode="r")` reads it.

    Args:
        path: The file.
    """

    def _begin(self, height: int, width: int) -> None:
        self._write_header(0, height, width)

    def _add(self, pixels: UInt8[np.ndarray, "H W 3"]) -> None:
        self._file.write(pixels.data)

    def _finish(self) -> None:
        # NumPy leaves room in the header for a first axis that grows.
        start = self._file.tell() - self._num_frames * 3 * self._size[0] * self._size[1]
        self._file.seek(0)
        self._write_header(self._num_frames, *self._size)
        if self._file.tell() != start:
            raise AssertionError("the header of an array changed its length")

    def _write_header(self, num_frames: int, height: int, width: int) -> None:
        header: dict[str, Any] = {"descr": "|u1", "fortran_order": False, "shape": (num_frames, height, width, 3)}
        npy.write_array_header_1_0(self._file, header)
