"""Videos with sound, small and made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

RATE = 8000


def make(
    path: Path,
    num_frames: int = 6,
    size: tuple[int, int] = (16, 20),
    fps: Fraction | int = 10,
    sound: str | None = "aac",
    times: Sequence[int] | None = None,
    codec: str = "libx264",
    title: str = "a title",
) -> Path:
    """A video of smooth frames that get brighter, and a tone.

    Args:
        path: The file.
        num_frames: Its frames.
        size: Their height and width.
        fps: Their rate.
        sound: Codec of the tone; None: silent.
        times: Of the frames, in units of 1 / fps; None: one after the other.
        codec: Of the frames.
        title: Metadata.
    """
    with av.open(str(path), "w") as container:
        container.metadata["title"] = title
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p" if min(size) % 2 == 0 else "yuv444p"
        tone = container.add_stream(sound, rate=RATE, layout="mono") if sound else None
        for i, pixels in enumerate(frames(num_frames, size)):
            frame = VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = times[i] if times else i, 1 / Fraction(fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone is not None:
            container.mux(tone.encode(_tone((times or range(num_frames))[-1] + 1, fps)))
            container.mux(tone.encode(None))
    return path


def _tone(num_frames: int, fps: Fraction | int) -> AudioFrame:
    samples = (np.sin(np.arange(int(RATE * num_frames / fps)) / 5) * 9000).astype(np.int16)
    frame = AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = RATE, 0
    return frame


def frames(num_frames: int, size: tuple[int, int]) -> np.ndarray:
    """Smooth RGB pictures, [F, H, W, 3]."""
    y, x = np.linspace(0, 1, size[0])[:, None], np.linspace(0, 1, size[1])
    shades = [
        np.stack([100 + 100 * x + 0 * y, 60 + 120 * y + 0 * x, 0 * x + 0 * y + 20 * i], -1) for i in range(num_frames)
    ]
    return np.stack(shades).round().clip(0, 255).astype(np.uint8)


def sound_of(path: Path) -> list[bytes]:
    """The packets of a file's sound, as they are stored."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.audio) if packet.size]


def moments_of(path: Path) -> list[float]:
    """When frames are shown, in seconds."""
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(container.streams.video[0])]
