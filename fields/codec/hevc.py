"""Grey pictures as an HEVC video, by the encoder x265 that comes with PyAV; a bare stream without a container.

Shape legend
    K       pictures
    H, W    their height and width
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import av
import numpy as np
from jaxtyping import UInt8

from errors import InputError

ENCODER = "libx265"
_LEAST, _STEP = 64, 8  # x265 damages memory on pictures smaller than a block of 32
_RATE = 25  # NVP's (Kim et al. 2022); x265 weighs pictures by it


def write_hevc(stack: UInt8[np.ndarray, "K H W"], crf: float) -> bytes:
    """A stream that begins with a picture of its own; pictures are extended by their borders to what x265 can code.

    Args:
        stack: Pictures.
        crf: x265's constant rate factor, 0 to 51, the smaller the better.

    Raises:
        InputError: This build of PyAV has no x265.
    """
    if ENCODER not in av.codecs_available:
        raise InputError(f"crf: this PyAV has no {ENCODER}: leave crf out, volumes are then coded without loss")
    h, w = _coded(stack.shape[1:])
    padded = np.pad(stack, [(0, 0), (0, h - stack.shape[1]), (0, w - stack.shape[2])], mode="edge")
    # One thread: the same bytes on every machine with this x265.
    tuning = f"bframes=0:keyint={len(stack)}:scenecut=0:info=0:log-level=none:pools=none:frame-threads=1"
    options = {"preset": "slow", "crf": str(crf), "x265-params": tuning}
    file = io.BytesIO()
    with av.open(file, "w", format="hevc") as video:
        stream = video.add_stream(ENCODER, rate=_RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = w, h, "gray"
        for number, picture in enumerate(padded):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray")
            frame.pts = number
            video.mux(stream.encode(frame))
        video.mux(stream.encode(None))
    return file.getvalue()


def read_hevc(data: bytes, shape: Sequence[int]) -> UInt8[np.ndarray, "K H W"]:
    """The pictures of a stream that `write_hevc` wrote, exactly the same on every machine.

    Args:
        data: The stream.
        shape: Pictures, height and width that it must have.

    Raises:
        InputError: It holds anything else.
    """
    count, (h, w) = shape[0], _coded(shape[1:])
    decoder = av.CodecContext.create("hevc", "r")
    decoder.options = {"max_pixels": str((h + _LEAST) * (w + _LEAST))}  # whatever sizes the stream states
    decoder.thread_count = 1
    found = []
    try:
        for packet in [*decoder.parse(data), *decoder.parse(None), None]:
            found += [_grey(frame, h, w) for frame in decoder.decode(packet)]
            if len(found) > count:
                break
    except av.error.FFmpegError as error:
        raise InputError(f"an HEVC stream cannot be read ({error})") from error
    if len(found) != count:
        raise InputError(f"an HEVC stream holds {len(found)} pictures or more instead of {count}")
    return np.stack(found)[:, : shape[1], : shape[2]]


def _grey(frame: av.VideoFrame, h: int, w: int) -> UInt8[np.ndarray, "H W"]:
    if (frame.format.name, frame.height, frame.width) != ("gray", h, w):
        raise InputError(
            f"an HEVC stream is {frame.format.name} of {frame.width} x {frame.height}, not grey of {w} x {h}"
        )
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:h, :w].copy()


def _coded(sides: Sequence[int]) -> tuple[int, int]:
    """Height and width that are coded."""
    h, w = (max(_LEAST, -(-side // _STEP) * _STEP) for side in sides)
    return h, w
