"""A video file as a list of packets: which frames are shown, when, and what makes finding them by number risky.

Reading all packets costs microseconds each and decodes nothing. Unlike headers it is exact: the length, edit lists,
open groups of pictures and missing ends all show.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import Int64, UInt8

from datasets.video_facts import UnreadableVideo

logger = logging.getLogger(__name__)

# Containers that hold the video themselves; play lists, which would make the library open other files, are left out.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,gif,h264,hevc,m4v,mxf"
# PyAV from 17 on would start a thread per core for every frame; earlier ones have no such argument, nor such threads.
_ONE_THREAD = {"threads": 1} if "threads" in (VideoReformatter.reformat.__doc__ or "") else {}
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}


@dataclass(frozen=True)
class PacketTable:
    """When the frames of a video are shown, in units of the stream's time base, and what its packets look like.

    Args:
        pts: Times of the frames that are shown, sorted: frame i has time ``pts[i]``.
        keyframes: Times of all keyframes, sorted, also of those an edit list hides.
        hidden: Packets that are decoded but not shown (an edit list).
        leading: Frames shown before the keyframe that precedes them in the file (an open group of pictures).
        reordered: Whether frames are stored in another order than they are shown.
        timed: Whether every frame has a time of its own.
        damaged: Whether a packet is incomplete.
    """

    pts: Int64[np.ndarray, " F"]
    keyframes: Int64[np.ndarray, " K"]
    hidden: int
    leading: int
    reordered: bool
    timed: bool
    damaged: bool

    @property
    def num_packets(self) -> int:
        return len(self.pts) + self.hidden


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container of a video file and its first video stream, decoding in one thread.

    Raises:
        UnreadableVideo: Not a video, or none that is known here.
    """
    try:
        container = av.open(str(path.absolute()), options=_OPTIONS)
    except (av.error.FFmpegError, OSError) as error:
        raise UnreadableVideo(path, f"cannot be opened: {error.strerror or error}") from error
    with container:
        # Cover pictures come as streams of one frame.
        pictures = av.stream.Disposition.attached_pic
        streams = [stream for stream in container.streams.video if not stream.disposition & pictures]
        if not streams or streams[0].codec_context is None:
            raise UnreadableVideo(path, "cannot be opened: holds no video that can be decoded")
        streams[0].codec_context.thread_count = 1  # loader workers are the parallelism
        yield container, streams[0]


def packet_table(container: InputContainer, stream: VideoStream) -> PacketTable:
    """Reads all packets of a freshly opened container."""
    shown: list[int | None] = []
    keyframes: list[int] = []
    leading, hidden, damaged = 0, 0, False
    for packet in _until_error(container, stream):
        if not packet.size:
            continue
        if packet.is_keyframe and packet.pts is not None:
            keyframes.append(packet.pts)
        elif packet.pts is not None and keyframes and packet.pts < keyframes[-1]:
            leading += 1
        hidden += packet.is_discard
        damaged |= packet.is_corrupt
        if not packet.is_discard:
            shown.append(packet.pts)
    times = [pts for pts in shown if pts is not None]
    pts = np.sort(np.array(times, dtype=np.int64))
    return PacketTable(
        pts,
        np.sort(np.array(keyframes, dtype=np.int64)),
        hidden=hidden,
        leading=leading,
        reordered=times != pts.tolist(),
        timed=len(set(times)) == len(shown),
        damaged=damaged,
    )


def _until_error(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet]:
    """The packets from the present position on, and an empty one at the end that makes the decoder finish."""
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError as error:
        logger.warning("%s: reading stops early: %s", container.name, error)


def decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """The frames from the present position on, as shown; packets that cannot be decoded are left out."""
    for packet in _until_error(container, stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            logger.debug("%s: packet at %s is left out: %s", container.name, packet.pts, error)
            continue
        yield from frames


def upright(
    frame: VideoFrame, size: tuple[int, int] | None = None, reformatter: VideoReformatter | None = None
) -> UInt8[np.ndarray, "H W 3"]:
    """RGB pixels of a frame, turned as its metadata asks.

    Args:
        frame: A decoded frame.
        size: Height and width before turning; None: those of the frame. Another size is scaled to it.
        reformatter: Kept between the frames of a video, which saves setting it up for each.
    """
    height, width = size or (frame.height, frame.width)
    reformatter = reformatter or VideoReformatter()
    pixels = reformatter.reformat(frame, width=width, height=height, format="rgb24", **_ONE_THREAD).to_ndarray()
    return np.rot90(pixels, k=frame.rotation // 90 % 4)
