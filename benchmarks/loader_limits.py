"""What decoding alone takes: the frames of clips, from what lies in memory, with nothing around it.

Shape legend
    F       frames of a video
    H, W    height and width
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from av import Packet
from av.video.reformatter import VideoReformatter
from PIL import Image

from datasets.sources import Frames, FrameStore, Source
from datasets.video_file import VideoFile
from datasets.video_packets import opened, upright

Decode = Callable[[], None]
"""Decodes the frames that it was made for."""


class Limits:
    """Makes bare decoding of the frames of any source; whatever it needs is read beforehand, and kept."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._packets: dict[Path, Packets] = {}

    def __enter__(self) -> Limits:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def of(self, source: Source, times: Sequence[int]) -> Decode | None:
        """Decoding of frames; None where a source has nothing to decode.

        Args:
            source: Any.
            times: Numbers of its frames.
        """
        if isinstance(source, Frames):
            files = [source.data(time) for time in times]
            return lambda: decode_files(files)
        if isinstance(source, FrameStore):
            out = np.empty((len(times), 3, *source.size), dtype=np.uint8)
            return lambda: copy_frames(source.frames, times, out)
        if isinstance(source, VideoFile):
            if source.path not in self._packets:
                self._packets[source.path] = Packets(source.path, self._stack)
            packets = self._packets[source.path]
            return lambda: packets.decode(times)
        return None


def decode_files(files: Sequence[bytes]) -> None:
    """Decodes image files with Pillow, to its own kind of pixels."""
    for file in files:
        Image.open(io.BytesIO(file)).load()


def copy_frames(frames: np.ndarray, times: Sequence[int], out: np.ndarray) -> None:
    """Copies frames [F, 3, H, W] of these numbers."""
    for place, time in zip(out, times, strict=True):
        np.copyto(place, frames[time])


class Packets:
    """The packets of a video file in memory, and a decoder for them.

    Args:
        path: The file.
        stack: Closes it.
    """

    def __init__(self, path: Path, stack: ExitStack) -> None:
        container, stream = stack.enter_context(opened(path))
        self.codec = stream.codec_context
        self.packets: list[Packet] = list(container.demux(stream))  # the last one is empty: it makes the decoder finish
        self.keyframes = [i for i, packet in enumerate(self.packets) if packet.size and packet.is_keyframe]
        self.pts = sorted(packet.pts for packet in self.packets if packet.size)
        self.reformatter = VideoReformatter()

    def decode(self, times: Sequence[int]) -> list[np.ndarray]:
        """Frames of these rising numbers: every packet that they need once, and their colours."""
        found: dict[int, np.ndarray] = {}
        shown, position = [self.pts[time] for time in times], -1
        for wanted in shown:
            start = max(i for i in self.keyframes if self.packets[i].pts <= wanted)
            if start > position:
                self.codec.flush_buffers()
                position = start
            while wanted not in found:
                for frame in self.codec.decode(self.packets[position]):
                    if frame.pts in shown:
                        found[frame.pts] = upright(frame, reformatter=self.reformatter)
                position += 1
        return [found[pts] for pts in shown]
