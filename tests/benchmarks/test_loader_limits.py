from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from benchmarks import loader_limits
from benchmarks.loader_limits import Limits, Packets, copy_frames
from datasets.sources import FrameFolder, FrameStore
from datasets.synthetic import SpriteVideo
from datasets.video_file import VideoFile


@pytest.fixture
def frames() -> np.ndarray:
    """40 frames, [40, 48, 64, 3]."""
    return SpriteVideo(0, 40, (48, 64)).read(range(40)).permute(0, 2, 3, 1).numpy()


def write_video(path: Path, frames: np.ndarray) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"g": "12", "bf": "2"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode(None))
    return path


def test_bare_packets_give_the_frames_of_the_file(frames: np.ndarray, tmp_path: Path) -> None:
    """Over keyframes and reordered frames, again and again with one decoder."""
    path = write_video(tmp_path / "a.mp4", frames)
    with ExitStack() as stack:
        packets = Packets(path, stack)
        assert len(packets.keyframes) == 4
        for times in ([0, 1, 30], [39], [5, 11, 12], [2], [13, 14, 23]):
            expected = VideoFile(path).read(times).permute(0, 2, 3, 1).numpy()
            assert np.array_equal(np.stack(packets.decode(times)), expected)


def test_every_kind_of_source_has_its_limit(
    frames: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(loader_limits, "decode_files", lambda files: asked.append(files))
    for i in range(3):
        Image.fromarray(frames[i]).save(tmp_path / f"{i}.jpg")
    np.save(tmp_path / "store.npy", frames.transpose(0, 3, 1, 2).copy())
    with Limits() as limits:
        limits.of(FrameFolder(tmp_path), [2, 0])()
        limits.of(FrameStore(tmp_path / "store.npy"), [2, 0])()
        limits.of(VideoFile(write_video(tmp_path / "a.mp4", frames)), [2, 3])()
        assert limits.of(SpriteVideo(0, 4, (48, 64)), [0]) is None
    assert asked == [[(tmp_path / f"{i}.jpg").read_bytes() for i in (2, 0)]]


def test_raw_frames_are_copied(frames: np.ndarray) -> None:
    out = np.zeros((2, *frames.shape[1:]), np.uint8)
    copy_frames(frames, [7, 1], out)
    assert np.array_equal(out, frames[[7, 1]])
