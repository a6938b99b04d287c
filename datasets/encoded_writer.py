"""Frames encoded as they come: mp4 and its kin, with the same bytes whatever the number of processors.

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
from jaxtyping import UInt8
from torch import Tensor

from datasets.writers import FrameWriter
from errors import InputError

logger = logging.getLogger(__name__)

# Encoders give other pictures for other numbers of threads, so that it may not depend on the machine.
_NUM_THREADS = 4


@dataclass(frozen=True)
class Codec:
    """How frames become a stream: encoder, pixel format, usual and worst quality, options, containers it fits into."""

    encoder: str
    pixels: str
    crf: int
    options: dict[str, str]
    containers: tuple[str, ...] = ("mp4", "mov", "matroska")
    tag: str | None = None
    max_crf: int = 51


# Closed groups of pictures throughout: readers that seek get wrong frames from open ones.
CODECS = {
    "h264": Codec("libx264", "yuv420p", 18, {}),
    "h265": Codec(
        "libx265",
        "yuv420p",
        20,
        {"x265-params": f"open-gop=0:log-level=error:info=0:frame-threads=2:pools={_NUM_THREADS}"},
        tag="hvc1",
    ),
    "vp9": Codec(
        "libvpx-vp9",
        "yuv420p",
        24,
        {"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
        ("mp4", "matroska", "webm"),
        max_crf=63,
    ),
    "h264rgb": Codec("libx264rgb", "rgb24", 0, {}),  # lossless; players outside of this project may refuse it
}


def check_encoder(name: str, codec: Codec) -> None:
    """Refuses a codec that the installed PyAV was built without.

    Raises:
        InputError: It cannot encode.
    """
    import av
    from av.codec.codec import UnknownCodecError

    try:
        av.Codec(codec.encoder, "w")
    except UnknownCodecError as error:
        raise InputError(
            f"codec: PyAV {av.__version__} lacks {codec.encoder}, which {name} needs; choose another"
        ) from error


class EncodedWriter(FrameWriter):
    """Encodes frames as they come, at constant memory.

    Args:
        path: The file.
        container: Its format.
        rate: Frames per second.
        codec: How to encode.
        crf: Constant rate factor.
        comment: Text to leave in the file.
    """

    def __init__(
        self, path: Path, container: str, rate: Fraction, codec: Codec, crf: int, comment: str | None = None
    ) -> None:
        import av

        super().__init__()
        self._codec, self._crf, self._rate = codec, crf, rate
        options = {"fflags": "+bitexact"}  # neither a date, nor a random number, nor the version of the library
        if container in ("mp4", "mov"):
            options["movflags"] = "+faststart"
        self._container = av.open(str(path.absolute()), "w", format=container, options=options)
        if comment is not None:
            self._container.metadata["comment"] = comment
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
        from av.error import FFmpegError

        options = {**self._codec.options, "crf": str(self._crf)}
        stream = self._container.add_stream(self._codec.encoder, rate=self._rate, options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, self._codec.pixels
        context = stream.codec_context
        context.thread_count = _NUM_THREADS
        if self._codec.tag and self._container.format.name in ("mp4", "mov"):
            context.codec_tag = self._codec.tag
        if self._codec.pixels != "rgb24":
            context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
        try:
            context.open()
        except FFmpegError as error:
            raise InputError(
                f"frames of {height}x{width} cannot be encoded by {self._codec.encoder}; choose another size or format"
            ) from error
        return stream

    def _padded(self, pixels: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """The frame with even sides, which colour at half resolution needs: the last row or column is repeated."""
        height, width = pixels.shape[:2]
        if self._codec.pixels == "rgb24" or height % 2 == width % 2 == 0:
            return pixels
        if not self._num_frames:
            logger.info("frames of %dx%d are padded to even sides by repeating their edge", height, width)
        return np.pad(pixels, [(0, height % 2), (0, width % 2), (0, 0)], mode="edge")
