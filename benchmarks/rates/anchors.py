"""The clip by x264 and x265, which come with PyAV: what fields are to be seen beside.

Both get the preset "slow", one picture coded by itself and all others from their neighbours, one thread, and no
message about the encoder. The payload is the bare stream, the container what an MP4 file adds to it. RGB becomes YUV
and back by libswscale; "yuv420p" halves the resolution of colour, which PSNR of RGB punishes, "yuv444p" does not.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import av
import numpy as np
import torch
from av.bitstream import BitStreamFilterContext
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

from benchmarks.rates.clips import FPS
from benchmarks.rates.points import Point, mean_psnr
from errors import InputError

ENCODERS = {"x264": "h264", "x265": "hevc"}  # and their bare streams
FORMATS = ("yuv420p", "yuv444p")
CRFS = (10, 16, 22, 28, 34, 40)
_QUIET = {"x264": "threads=1", "x265": "info=0:log-level=none:pools=none:frame-threads=1"}


def anchor_points(frames: UInt8[Tensor, "F 3 H W"], encoder: str, pix_fmt: str) -> Iterator[Point]:
    """A clip at every CRF.

    Args:
        frames: The clip.
        encoder: Of `ENCODERS`.
        pix_fmt: Of `FORMATS`.

    Raises:
        InputError: This build of PyAV has no such encoder.
    """
    if f"lib{encoder}" not in av.codecs_available:
        raise InputError(f"this PyAV has no {encoder}: install its wheel, or give --only rival,rate")
    for crf in CRFS:
        stream = write_stream(frames, encoder, pix_fmt, crf, ENCODERS[encoder])
        file = write_stream(frames, encoder, pix_fmt, crf, "mp4")
        found = mean_psnr(read_stream(stream, ENCODERS[encoder]), frames)
        yield Point(found, 8 * len(stream), 8 * (len(file) - len(stream)), {"crf": crf})


def write_stream(frames: UInt8[Tensor, "F 3 H W"], encoder: str, pix_fmt: str, crf: float, form: str) -> bytes:
    """A clip as a video.

    Args:
        frames: The clip, of even height and width.
        encoder: Of `ENCODERS`.
        pix_fmt: Of `FORMATS`.
        crf: Constant rate factor, the smaller the better.
        form: "mp4", or the encoder's bare stream.
    """
    whole = f"keyint={len(frames)}:min-keyint={len(frames)}:scenecut=0:{_QUIET[encoder]}"
    options = {"preset": "slow", "crf": str(crf), f"{encoder}-params": whole}
    file = io.BytesIO()
    with av.open(file, "w", format=form, options={"fflags": "+bitexact"}) as video:
        stream = video.add_stream(f"lib{encoder}", rate=FPS, options=options)
        stream.height, stream.width, stream.pix_fmt = frames.shape[2], frames.shape[3], pix_fmt
        silent = _without_messages(encoder, stream)
        for picture in [*_pictures(frames, pix_fmt), None]:
            for packet in stream.encode(picture):
                video.mux(silent.filter(packet) if silent else [packet])
    return file.getvalue()


def read_stream(data: bytes, form: str) -> UInt8[Tensor, "F 3 H W"]:
    """The frames of a video that `write_stream` wrote; arguments as there."""
    with av.open(io.BytesIO(data), format=form) as video:
        video.streams.video[0].codec_context.thread_count = 1
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    return rearrange(torch.from_numpy(np.stack(frames)), "f h w c -> f c h w")


def _pictures(frames: UInt8[Tensor, "F 3 H W"], pix_fmt: str) -> Iterator[av.VideoFrame]:
    for number, frame in enumerate(rearrange(frames, "f c h w -> f h w c")):
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.numpy()), format="rgb24")
        picture = picture.reformat(format=pix_fmt, interpolation="BICUBIC")
        picture.pts = number
        yield picture


def _without_messages(encoder: str, stream: av.VideoStream) -> BitStreamFilterContext | None:
    """Takes out what x264 says of itself, 700 bytes, which x265 can be told to leave out."""
    return BitStreamFilterContext("filter_units=remove_types=6", stream) if encoder == "x264" else None
