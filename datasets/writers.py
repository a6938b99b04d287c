"""How frames get into files: encoded as they come, as a gif, or as png files.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from errors import InputError

logger = logging.getLogger(__name__)

_MAX_GIF_BYTES = 2**30
_GIF_SECONDS = 0.02  # viewers show shorter frames for a tenth of a second


@dataclass(frozen=True)
class Codec:
    """How frames become a stream: encoder, pixel format, its default quality, options, and containers it fits into."""

    encoder: str
    pixels: str
    crf: int
    options: dict[str, str]
    containers: tuple[str, ...] = ("mp4", "mov", "matroska")
    tag: str | None = None


# Closed groups of pictures throughout: readers that seek get wrong frames from open ones.
CODECS = {
    "h264": Codec("libx264", "yuv420p", 18, {}),
    "h265": Codec("libx265", "yuv420p", 20, {"x265-params": "open-gop=0:log-level=error"}, tag="hvc1"),
    "vp9": Codec(
        "libvpx-vp9",
        "yuv420p",
        24,
        {"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
        ("mp4", "matroska", "webm"),
    ),
    "h264rgb": Codec("libx264rgb", "rgb24", 0, {}),  # lossless; players outside of this project may refuse it
}


class _Checked:
    """Refuses a video whose frames change size, or that has none."""

    def __init__(self) -> None:
        self._size: tuple[int, ...] | None = None

    def _pixels(self, frames: UInt8[Tensor, "F 3 H W"]) -> UInt8[np.ndarray, "F H W 3"]:
        if len(frames):
            self._size = self._size or frames.shape[2:]
        if len(frames) and frames.shape[2:] != self._size:
            raise ValueError(f"frames of {frames.shape[2:]} after frames of {self._size}")
        return np.ascontiguousarray(rearrange(frames, "f c h w -> f h w c").cpu().numpy())

    def _check_not_empty(self) -> None:
        if self._size is None:
            raise InputError("a video needs at least one frame; none was written")


class EncodedWriter(_Checked):
    """Encodes frames as they come, at constant memory.

    Args:
        path: The file.
        container: Its format.
        fps: Frames per second.
        codec: How to encode.
        crf: Constant rate factor.
    """

    def __init__(self, path: Path, container: str, fps: float, codec: Codec, crf: int) -> None:
        import av

        super().__init__()
        self._codec, self._crf = codec, crf
        self._rate = Fraction(fps).limit_denominator(1001)
        options = {"movflags": "+faststart"} if container in ("mp4", "mov") else {}
        self._container = av.open(str(path.absolute()), "w", format=container, options=options)
        self._stream: Any = None
        self._num_frames = 0

    def write(self, frames: UInt8[Tensor, "F 3 H W"]) -> None:
        from av.video.frame import VideoFrame
        from av.video.reformatter import ColorRange, Colorspace

        for pixels in self._pixels(frames):
            pixels = self._padded(pixels)
            self._stream = self._stream or self._add_stream(*pixels.shape[:2])
            frame = VideoFrame.from_ndarray(pixels, format="rgb24")
            if self._codec.pixels != "rgb24":
                # The usual colours of video, said in the file: players guess differently where it says nothing.
                frame = frame.reformat(
                    format=self._codec.pixels, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
                )
            frame.pts, frame.time_base = self._num_frames, 1 / self._rate
            self._num_frames += 1
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._check_not_empty()
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def abandon(self) -> None:
        self._container.close()

    def _add_stream(self, height: int, width: int) -> Any:
        options = {**self._codec.options, "crf": str(self._crf)}
        stream = self._container.add_stream(self._codec.encoder, rate=self._rate, options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, self._codec.pixels
        context = stream.codec_context
        if self._codec.tag and self._container.format.name in ("mp4", "mov"):
            context.codec_tag = self._codec.tag
        if self._codec.pixels != "rgb24":
            context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
        return stream

    def _padded(self, pixels: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """The frame with even sides, which colour at half resolution needs: the last row or column is repeated."""
        height, width = pixels.shape[:2]
        if self._codec.pixels == "rgb24" or height % 2 == width % 2 == 0:
            return pixels
        if not self._num_frames:
            logger.info("frames of %dx%d are padded to even sides by repeating their edge", height, width)
        return np.pad(pixels, [(0, height % 2), (0, width % 2), (0, 0)], mode="edge")


class GifWriter(_Checked):
    """Collects frames with a palette each, a byte per pixel, and writes them at the end.

    Args:
        path: The file.
        fps: Frames per second; above 50 it plays slower, since gifs cannot be faster.
    """

    def __init__(self, path: Path, fps: float) -> None:
        super().__init__()
        self._path, self._fps = path, fps
        self._frames: list[Image.Image] = []
        if fps * _GIF_SECONDS > 1:
            logger.warning("gifs play at most %g frames per second, not %g", 1 / _GIF_SECONDS, fps)

    def write(self, frames: UInt8[Tensor, "F 3 H W"]) -> None:
        for pixels in self._pixels(frames):
            if (len(self._frames) + 1) * pixels[..., 0].size > _MAX_GIF_BYTES:
                raise InputError(
                    f"a gif of more than {len(self._frames)} such frames takes too much memory; write .mp4"
                )
            # Pillow's own conversion is some 3 dB worse on smooth colours.
            self._frames.append(Image.fromarray(pixels).quantize(256, method=Image.Quantize.MAXCOVERAGE))

    def close(self) -> None:
        self._check_not_empty()
        # Hundredths of a second, rounded so that errors do not add up.
        step = max(1 / self._fps, _GIF_SECONDS)
        ends = [round(100 * step * (i + 1)) for i in range(len(self._frames))]
        durations = [10 * (end - start) for start, end in zip([0, *ends], ends, strict=False)]
        first, *others = self._frames
        first.save(self._path, "GIF", save_all=True, append_images=others, duration=durations, loop=0, optimize=False)

    def abandon(self) -> None:
        self._frames.clear()


class PngWriter(_Checked):
    """A folder of numbered png files.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._num_frames = 0
        path.mkdir()

    def write(self, frames: UInt8[Tensor, "F 3 H W"]) -> None:
        for pixels in self._pixels(frames):
            Image.fromarray(pixels).save(self._path / f"{self._num_frames:06d}.png", compress_level=3)
            self._num_frames += 1

    def close(self) -> None:
        self._check_not_empty()

    def abandon(self) -> None:
        """Nothing is held open."""
