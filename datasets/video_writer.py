"""Videos written to disk, frame by frame: mp4 and its kin, gif, or a folder of png files; whole or not at all.

Shape legend
    N       videos of a grid
    F       frames
    H, W    height and width
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

from einops import rearrange
from jaxtyping import Shaped, UInt8
from torch import Tensor

from datasets.files import atomic_path
from datasets.writers import CODECS, EncodedWriter, GifWriter, PngWriter
from errors import InputError

_CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}


@runtime_checkable
class VideoWriter(Protocol):
    """Takes the frames of one video in order."""

    def write(self, frames: UInt8[Tensor, "F 3 H W"]) -> None:
        """Appends frames; all of a video have one size."""

    def close(self) -> None:
        """Completes the file; called where the `with` block of `open_writer` ends well."""

    def abandon(self) -> None:
        """Lets go of the file as it is; called where the block fails."""


@contextmanager
def open_writer(
    path: str | Path, fps: float, *, quality: int | None = None, codec: str = "h264"
) -> Iterator[VideoWriter]:
    """A writer by the suffix of ``path``; the file appears under its name when the block ends well, else not at all.

    Args:
        path: .mp4, .mov, .mkv or .webm; .gif; or no suffix: a folder of png files. A file there is replaced, a folder
            that holds something is not.
        fps: Frames per second; png files do not keep it.
        quality: Constant rate factor of the codec, 0 is best; None: its default, hardly to be told from the original.
        codec: "h264", "h265", "vp9", or "h264rgb" (lossless). For gif and png it means nothing.

    Raises:
        InputError: A suffix, codec, rate or place that cannot be used.
        OSError: The disk is full or may not be written to; nothing is left behind.
    """
    path = Path(path)
    make = _maker(path, fps, quality, codec)
    try:
        with atomic_path(path) as temporary:
            writer = make(temporary)
            try:
                yield writer
                writer.close()
            except BaseException:
                with suppress(OSError):  # closing completes the file, for which the disk may be too full
                    writer.abandon()
                raise
    except OSError as error:
        if error.filename is not None and not str(error.filename).endswith(".tmp"):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # the user knows no temporary name


def _maker(path: Path, fps: float, quality: int | None, codec: str) -> Callable[[Path], VideoWriter]:
    """What opens the writer, with everything about the request checked beforehand."""
    suffix = path.suffix.lower()
    if not 0 < fps < 1001:
        raise InputError(f"fps: {fps} frames per second cannot be written; give a rate between 0 and 1000")
    if path.is_dir() and (suffix or any(path.iterdir())):
        raise InputError(f"{path}: is a folder that is there already; choose another name or remove it")
    if not suffix:
        return PngWriter
    if suffix == ".gif":
        return lambda temporary: GifWriter(temporary, fps)
    if suffix not in _CONTAINERS:
        raise InputError(f"{path}: videos end in {', '.join(_CONTAINERS)} or .gif, folders of png files in no suffix")
    if codec not in CODECS:
        raise InputError(f"codec: {codec!r} is none of {', '.join(CODECS)}; choose one")
    container, how = _CONTAINERS[suffix], CODECS[codec]
    if container not in how.containers:
        raise InputError(f"{path}: {codec} does not go into {suffix}; choose codec vp9, or .mp4")
    crf = how.crf if quality is None else quality
    if not 0 <= crf <= 51:
        raise InputError(f"quality: {quality} is not a constant rate factor; give 0 (best) to 51")
    return lambda temporary: EncodedWriter(temporary, container, fps, how, crf)


def tile(
    videos: Shaped[Tensor, "N F C H W"], columns: int | None = None, gap: int = 2, value: float = 0
) -> Shaped[Tensor, "F C h w"]:
    """Videos side by side in a grid, row by row.

    Args:
        videos: Of one length and size.
        columns: Videos per row; None: as many as there are rows, or one more.
        gap: Pixels between them.
        value: What fills the gaps and the places left over.
    """
    num_videos, num_frames, channels, height, width = videos.shape
    columns = min(columns or math.ceil(math.sqrt(num_videos)), num_videos)
    rows = -(-num_videos // columns)
    cells = videos.new_full((rows * columns, num_frames, channels, height + gap, width + gap), value)
    cells[:num_videos, ..., :height, :width] = videos
    grid = rearrange(cells, "(rows columns) f c h w -> f c (rows h) (columns w)", rows=rows)
    return grid[..., : grid.shape[-2] - gap, : grid.shape[-1] - gap]
