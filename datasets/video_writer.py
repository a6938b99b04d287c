"""Videos written to disk, frame by frame, with the settings that they were made with; whole or not at all.

Shape legend
    N       videos of a grid
    F       frames
    H, W    height and width
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from einops import rearrange
from jaxtyping import Shaped, UInt8
from torch import Tensor

from datasets.animations import GifWriter, WebpWriter
from datasets.embedding import CONTAINERS
from datasets.encoded_writer import CODECS, EncodedWriter, check_encoder
from datasets.files import atomic_path, sync
from datasets.settings import settings_beside, settings_path, settings_text
from datasets.writers import NpyWriter, PngWriter, save_png
from errors import InputError

SUFFIXES = (*CONTAINERS, ".gif", ".webp", ".npy")

_MIN_FPS, _MAX_FPS = 0.01, 1000
_MAX_DENOMINATOR = 10_000
_BROADCAST = (24, 30, 48, 60, 120)  # thousands of frames per 1001 seconds, which people round to 29.97 and the like
_WEBP_CRF, _WEBP_MAX_CRF = 10, 100


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
    path: str | Path,
    fps: float | Fraction,
    *,
    crf: int | None = None,
    codec: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Iterator[VideoWriter]:
    """A writer by the suffix of ``path``; the file appears under its name when the block ends well, else not at all.

    The same frames and arguments make the same bytes, whatever the number of processors, and memory does not grow with
    the number of frames.

    Args:
        path: .mp4, .mov, .mkv or .webm; .gif; .webp (animated); .npy (uint8 [F, H, W, 3]); or no suffix: a folder of
            png files. A file there is replaced, a folder that holds something is not.
        fps: Frames per second, from 0.01 to 1000, as `exact_rate` understands it; png and npy do not keep it.
        crf: Constant rate factor, 0 is best: up to 51, of vp9 63, of .webp 100 (where 0 loses nothing); None: the
            codec's default, hardly to be told from the original. gif, png and npy take none.
        codec: "h264", "h265", "vp9", or "h264rgb" (lossless); None: vp9 for .webm, else h264. Others take none.
        metadata: Settings, plain values by name: left inside of the file (not of .npy) and as JSON beside it, see
            `datasets.settings`. None: neither, and JSON that an earlier file left is removed.

    Raises:
        InputError: A suffix, codec, rate, size or place that cannot be used.
        OSError: The disk is full or may not be written to; nothing is left behind.
    """
    path = Path(path)
    make = _maker(path, exact_rate(fps), crf, codec, None if metadata is None else settings_text(path, metadata))
    with _blamed_on(path), atomic_path(path) as temporary:
        writer = make(temporary)
        try:
            with settings_beside(path, temporary, metadata):
                yield writer
                writer.close()
                sync(temporary)
        except BaseException:
            with suppress(OSError):  # closing completes the file, for which the disk may be too full
                writer.abandon()
            raise


def write_image(path: str | Path, image: UInt8[Tensor, "3 H W"], *, metadata: Mapping[str, Any] | None = None) -> None:
    """Writes a picture as a png file, whole or not at all.

    Args:
        path: Ends in .png; a file there is replaced.
        image: RGB.
        metadata: As for `open_writer`.

    Raises:
        InputError: A name that cannot be used.
        OSError: The disk is full or may not be written to; nothing is left behind.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: a picture ends in .png; give such a name")
    _check_place(path)
    text = None if metadata is None else settings_text(path, metadata)
    with _blamed_on(path), atomic_path(path) as temporary, settings_beside(path, temporary, metadata):
        save_png(temporary, rearrange(image, "c h w -> h w c").cpu().contiguous().numpy(), text)
        sync(temporary)


def exact_rate(fps: float | Fraction) -> Fraction:
    """The rate that is meant: rounded rates of broadcasting (23.976, 29.97, 59.94) are thousands of frames per 1001 s.

    Raises:
        InputError: Not a number from 0.01 to 1000.
    """
    if not _MIN_FPS <= fps <= _MAX_FPS:
        raise InputError(f"fps: {fps} frames per second cannot be written; give a rate from {_MIN_FPS} to {_MAX_FPS}")
    thousands = round(fps * 1.001)
    broadcast = Fraction(1000 * thousands, 1001)
    if thousands in _BROADCAST and abs(fps - broadcast) < 0.005:
        return broadcast
    return Fraction(fps).limit_denominator(_MAX_DENOMINATOR)


def _maker(
    path: Path, rate: Fraction, crf: int | None, codec: str | None, text: str | None
) -> Callable[[Path], VideoWriter]:
    """What opens the writer, with everything about the request checked beforehand."""
    suffix = path.suffix.lower()
    if suffix and suffix not in SUFFIXES:
        raise InputError(f"{path}: videos end in {', '.join(SUFFIXES)}, folders of png files in no suffix")
    _check_place(path)
    if suffix in CONTAINERS:
        return _encoder(path, rate, crf, codec, text)
    if codec is not None:
        raise InputError(f"codec: {suffix or 'png'} files take none; leave it out")
    if suffix == ".webp":
        crf = _checked(crf, _WEBP_CRF, _WEBP_MAX_CRF)
        return lambda temporary: WebpWriter(temporary, rate, crf, text)
    if crf is not None:
        raise InputError(f"crf: {suffix or 'png'} files take none; leave it out")
    if suffix == ".gif":
        return lambda temporary: GifWriter(temporary, rate, text)
    return NpyWriter if suffix else lambda temporary: PngWriter(temporary, text)


def _encoder(
    path: Path, rate: Fraction, crf: int | None, codec: str | None, text: str | None
) -> Callable[[Path], VideoWriter]:
    container = CONTAINERS[path.suffix.lower()]
    codec = codec or ("vp9" if container == "webm" else "h264")
    if codec not in CODECS:
        raise InputError(f"codec: {codec!r} is none of {', '.join(CODECS)}; choose one")
    how = CODECS[codec]
    if container not in how.containers:
        raise InputError(f"{path}: {codec} does not go into {path.suffix}; choose codec vp9, or .mp4")
    check_encoder(codec, how)
    crf = _checked(crf, how.crf, how.max_crf)
    return lambda temporary: EncodedWriter(temporary, container, rate, how, crf, text)


def _checked(crf: int | None, default: int, largest: int) -> int:
    if crf is not None and not 0 <= crf <= largest:
        raise InputError(f"crf: {crf} is no constant rate factor of this format; give 0 (best) to {largest}")
    return default if crf is None else crf


def _check_place(path: Path) -> None:
    """Refuses a name that could not be given to the result in the end."""
    if path.is_dir() and (path.suffix or any(path.iterdir())):
        raise InputError(f"{path}: is a folder that is there already; choose another name or remove it")
    if not path.suffix and path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file, where a folder of png files shall be; choose another name or remove it")
    if settings_path(path).is_dir():
        raise InputError(
            f"{settings_path(path)}: is a folder, where settings shall be; choose another name or remove it"
        )


@contextmanager
def _blamed_on(path: Path) -> Iterator[None]:
    """Failures to write name ``path``: the user knows of no temporary name."""
    try:
        yield
    except OSError as error:
        names = Path(str(error.filename or "")).parts[-2:]  # of a file, or of one in a folder
        if error.filename is not None and not any(name.endswith(".tmp") for name in names):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


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
