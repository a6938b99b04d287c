"""Pictures that move: gif and WebP, written frame by frame at constant memory.

Pillow compresses each frame; the file around them is put together here, since Pillow's own animations hold all frames
in memory until the end.

Sources: the GIF89a specification (CompuServe, 1990) and "WebP Container Specification" (Google).

Shape legend
    H, W    height and width
"""

from __future__ import annotations

import io
import logging
import math
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from datasets.embedding import exif, gif_blocks, gif_comment, riff_chunk
from datasets.writers import FileWriter
from errors import InputError

logger = logging.getLogger(__name__)

_PALETTE_PIXELS = 2**13
_MAX_RIFF_BYTES = 2**32 - 10
_ANIMATED, _WITH_EXIF = 0x02, 0x08
_REPLACE = 0x02  # a frame is not blended with the one before


class _Animation(FileWriter):
    """Frames with a duration each, in whole units of the format, rounded so that errors do not add up.

    Args:
        path: The file.
        rate: Frames per second.
        units: Of time, in a second.
        shortest: Units of the shortest frame that viewers obey.
        max_side: As for `FrameWriter`.
    """

    def __init__(self, path: Path, rate: Fraction, units: int, shortest: int, max_side: int) -> None:
        super().__init__(path, max_side)
        self._step = max(units / rate, Fraction(shortest))
        if self._step * rate > units:
            logger.warning("gif and webp: played at %g frames per second at most, not %g", units / shortest, rate)

    def _duration(self) -> int:
        """Units that the frame to be written lasts."""
        return round(self._step * (self._num_frames + 1)) - round(self._step * self._num_frames)


class GifWriter(_Animation):
    """A gif that repeats for ever, with a palette of 256 colours for each frame.

    Args:
        path: The file.
        rate: Frames per second; above 50 it plays slower, since viewers show shorter frames for a tenth of a second.
        comment: Text to leave in the file.
    """

    def __init__(self, path: Path, rate: Fraction, comment: str | None = None) -> None:
        super().__init__(path, rate, units=100, shortest=2, max_side=2**16 - 1)
        self._comment = comment

    def _begin(self, height: int, width: int) -> None:
        self._file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0))
        self._file.write(b"!\xff\x0bNETSCAPE2.0" + gif_blocks(struct.pack("<BH", 1, 0)))
        if self._comment is not None:
            self._file.write(gif_comment(self._comment))

    def _add(self, pixels: UInt8[np.ndarray, "H W 3"]) -> None:
        self._file.write(b"!\xf9" + gif_blocks(struct.pack("<BHB", 1 << 2, self._duration(), 0)))
        self._file.write(_gif_picture(_with_palette(pixels)))

    def _finish(self) -> None:
        self._file.write(b";")


class WebpWriter(_Animation):
    """An animated WebP that repeats for ever, each frame compressed by itself.

    Args:
        path: The file.
        rate: Frames per second; above 90 it plays slower, since viewers show shorter frames for a tenth of a second.
        crf: 0 loses nothing; else the quality of WebP is 100 less this, up to 100.
        comment: Text to leave in the file.
    """

    def __init__(self, path: Path, rate: Fraction, crf: int, comment: str | None = None) -> None:
        super().__init__(path, rate, units=1000, shortest=11, max_side=2**14 - 1)
        # More effort makes lossless frames hardly smaller, and takes several times as long.
        self._how = {"quality": 100 - crf} if crf else {"lossless": True, "quality": 50, "method": 2}
        self._comment = comment

    def _begin(self, height: int, width: int) -> None:
        flags = _ANIMATED | (0 if self._comment is None else _WITH_EXIF)
        self._file.write(b"RIFF\0\0\0\0WEBP")
        self._file.write(riff_chunk(b"VP8X", struct.pack("<I", flags) + _three(width - 1) + _three(height - 1)))
        self._file.write(riff_chunk(b"ANIM", struct.pack("<IH", 0xFF000000, 0)))
        if self._comment is not None:
            self._file.write(riff_chunk(b"EXIF", exif(self._comment)))

    def _add(self, pixels: UInt8[np.ndarray, "H W 3"]) -> None:
        still = io.BytesIO()
        Image.fromarray(pixels).save(still, "WEBP", **self._how)
        place = _three(0) + _three(0) + _three(pixels.shape[1] - 1) + _three(pixels.shape[0] - 1)
        frame = place + _three(self._duration()) + bytes([_REPLACE]) + still.getvalue()[12:]
        chunk = riff_chunk(b"ANMF", frame)
        if self._file.tell() + len(chunk) > _MAX_RIFF_BYTES:
            raise InputError(f"a WebP file holds 4 GiB at most, {self._num_frames} of these frames; choose .mp4 or png")
        self._file.write(chunk)

    def _finish(self) -> None:
        size = self._file.tell() - 8
        self._file.seek(4)
        self._file.write(struct.pack("<I", size))


def _with_palette(pixels: UInt8[np.ndarray, "H W 3"]) -> Image.Image:
    """A frame in 256 colours of its own, chosen by looking at some thousands of its pixels.

    To look at all of them takes ten times as long and is worth 0.6 dB at best; the palette of Pillow's plain conversion
    costs some 3 dB on smooth colours.
    """
    step = max(1, math.isqrt(pixels[..., 0].size // _PALETTE_PIXELS))
    some = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]))
    palette = some.quantize(256, method=Image.Quantize.MAXCOVERAGE)
    return Image.fromarray(pixels).quantize(palette=palette, dither=Image.Dither.NONE)


def _gif_picture(image: Image.Image) -> bytes:
    """A picture with its palette, as it stands within a gif: what Pillow writes as a gif of its own, taken apart."""
    whole = io.BytesIO()
    image.save(whole, "GIF", interlace=0, optimize=False)
    data = whole.getvalue()
    palette_bits = data[10] & 7
    place = 13 + (3 << palette_bits + 1)
    palette = data[13:place]
    while data[place : place + 1] == b"!":
        place += 2
        while data[place]:
            place += data[place] + 1
        place += 1
    descriptor = data[place : place + 9] + bytes([0x80 | palette_bits])
    return descriptor + palette + data[place + 10 : -1]


def _three(number: int) -> bytes:
    """Three bytes of a number."""
    return number.to_bytes(3, "little")
