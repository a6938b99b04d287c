"""What a video file is, found without trusting it: its exact length, and which reader is exact for it.

Measured over many containers and codecs, decord is exact by number for closed groups of pictures in the usual ones;
PyAV, which finds frames by their time, is exact wherever times can be trusted; the rest is exact only from its start.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from datasets.video_facts import DECORD, SEEKING, SEQUENTIAL, UnreadableVideo, VideoFacts, decord_is_there
from datasets.video_packets import PacketTable, decoded, opened, packet_table, upright

_INDEXED = ("mov", "matroska", "avi")  # containers with times that lead back to packets
_DECORD_IS_EXACT = {(c, k) for c in ("mov", "matroska") for k in ("h264", "hevc", "vp9")} | {("avi", "mjpeg")}
_PYAV_IS_EXACT = _DECORD_IS_EXACT | {("mov", "av1"), ("matroska", "av1"), ("mov", "mpeg4"), ("matroska", "mpeg4")}
_REORDERED = ("h264", "hevc")  # of these an AVI stores no display times
_NARROW = 96  # below this width decord mistakes the padding of rows for channels
_MAX_PIXELS = 2**27
_TAIL_SECONDS = 0.5


def probe(path: Path) -> VideoFacts:
    """Reads all packets of a video file, decodes a frame at its start and one near its end, and chooses its reader.

    Raises:
        UnreadableVideo: Missing, empty, not a video, truncated, or nothing in it can be decoded.
    """
    if not path.is_file():
        raise UnreadableVideo(path, "missing")
    if path.stat().st_size == 0:
        raise UnreadableVideo(path, "empty: the file has 0 bytes")
    with opened(path) as (container, stream):
        table = packet_table(container, stream)
        _check_whole(path, table, container, stream)
        several = len(container.streams.video) > 1
        fps = _frame_rate(table, stream)
        kind = (container.format.name.split(",")[0], stream.codec_context.codec.canonical_name)
    size, turned = _first_frame(path)
    reader, num_frames = _choose_reader(path, kind, table)
    if reader == DECORD and (several or turned or size[1] < _NARROW or not decord_is_there()):
        reader = SEEKING
    return VideoFacts(num_frames, fps, *size, reader)


def _check_whole(path: Path, table: PacketTable, container: InputContainer, stream: VideoStream) -> None:
    if not table.num_packets and table.timed:
        raise UnreadableVideo(path, "empty: no frames")
    if stream.frames > table.num_packets * 1.01 + 2:  # some containers count empty packets
        raise UnreadableVideo(path, f"truncated: {table.num_packets} of {stream.frames} frames are there")
    if table.damaged:
        raise UnreadableVideo(path, "truncated: ends within a frame")
    said, found = _said_seconds(container, stream), _seconds(table, stream)
    if said is not None and found < said - _TAIL_SECONDS:
        raise UnreadableVideo(path, f"truncated: {found:.1f} of {said:.1f} seconds are there")


def _seconds(table: PacketTable, stream: VideoStream) -> float:
    """Time from the stream's zero to the end of the last frame."""
    if len(table.pts) < 2:
        return float("inf")
    step = np.diff(table.pts).max()
    return float((table.pts[-1] + step) * stream.time_base)


def _said_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """How long a Matroska file says that its video is; other containers say how many frames, or nothing."""
    if not container.format.name.startswith("matroska"):
        return None
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        alone = len(container.streams) == 1 and container.duration is not None
        return container.duration / 1e6 if alone else None


def _first_frame(path: Path) -> tuple[tuple[int, int], bool]:
    """Height and width of the first frame, upright, and whether it was turned."""
    with opened(path) as (container, stream):
        first = next(decoded(container, stream), None)
        if first is None:
            raise UnreadableVideo(path, "undecodable: no frame at its start")
        if first.height * first.width > _MAX_PIXELS:
            raise UnreadableVideo(path, f"too large: frames of {first.height}x{first.width}")
        return upright(first).shape[:2], first.rotation % 360 != 0


def _keyframes_stand_alone(path: Path, table: PacketTable) -> bool:
    """Whether a few keyframes, the last one among them, decode without what comes before.

    Streams that refresh the picture bit by bit mark places to start from that are no whole pictures.
    """
    shown = table.keyframes[np.isin(table.keyframes, table.pts)]
    chosen = {int(shown[i]) for i in (len(shown) // 2, -1) if len(shown) > 1}
    with opened(path) as (container, stream):
        for keyframe in sorted(chosen):
            container.seek(keyframe, stream=stream)
            frame = next(decoded(container, stream), None)
            if frame is None:
                raise UnreadableVideo(path, "undecodable: no frame near its end")
            # Containers may seek to an earlier keyframe, which does no harm.
            if frame.pts not in table.keyframes or frame.pict_type != PictureType.I:
                return False
    return True


def _choose_reader(path: Path, kind: tuple[str, str], table: PacketTable) -> tuple[str, int]:
    """The fastest reader that is exact, and the number of frames; ``kind`` is (container, codec)."""
    headed = len(table.keyframes) > 0 and len(table.pts) > 0 and table.keyframes[0] <= table.pts[0]
    lies = kind[0] == "avi" and kind[1] in _REORDERED
    by_time = kind[0] in _INDEXED and table.timed and headed and not lies and _keyframes_stand_alone(path, table)
    if by_time and kind in _DECORD_IS_EXACT and not table.hidden and not table.leading:
        return DECORD, len(table.pts)
    intra = len(table.keyframes) == len(table.pts)
    if by_time and (kind in _PYAV_IS_EXACT or intra or (kind == ("avi", "mpeg4") and not table.reordered)):
        return SEEKING, len(table.pts)
    # Nothing is known of this kind of file: decode it all, once, and compare.
    with opened(path) as (container, stream):
        times = [frame.pts for frame in decoded(container, stream)]
    if len(times) < 0.8 * len(table.pts):  # a few packets may hold no frame of their own
        raise UnreadableVideo(path, f"undecodable: {len(times)} of {len(table.pts)} frames can be decoded")
    return (SEEKING if by_time and times == table.pts.tolist() else SEQUENTIAL), len(times)


def _frame_rate(table: PacketTable, stream: VideoStream) -> float:
    """The rate the file states where its frames agree within a percent, else the rate of its frames; 25 if unknown."""
    stated = stream.average_rate or stream.guessed_rate or Fraction(0)
    if len(table.pts) < 2 or not table.timed:
        return float(stated) or 25.0
    measured = (len(table.pts) - 1) / ((table.pts[-1] - table.pts[0]) * float(stream.time_base))
    return float(stated if abs(stated / Fraction(measured) - 1) < 0.01 else measured)
