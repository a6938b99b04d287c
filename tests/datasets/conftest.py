"""Small videos whose every frame shows its number, so that a wrong one cannot pass for the right one; and stores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from jaxtyping import UInt8
from torch import Tensor

from datasets.index import VideoIndex, scan
from datasets.prepare import prepare

_BITS, _COLUMNS = 10, 5


def _block(bit: int, height: int, width: int, margin: int = 0) -> tuple[slice, slice]:
    row, column = divmod(bit, _COLUMNS)
    h, w = height // 2, width // _COLUMNS
    return slice(row * h + margin, (row + 1) * h - margin), slice(column * w + margin, (column + 1) * w - margin)


def _coded_frame(number: int, height: int, width: int) -> UInt8[np.ndarray, "H W 3"]:
    """2 x 5 blocks, bright for the ones of ``number``; red rises slightly to the right."""
    frame = np.full((height, width, 3), 25, dtype=np.uint8)
    for bit in range(_BITS):
        if number >> bit & 1:
            frame[_block(bit, height, width)] = 225
    frame[..., 0] += np.linspace(0, 20, width).astype(np.uint8)
    return frame


def _coded_clip(numbers: Sequence[int], height: int = 64, width: int = 128) -> UInt8[Tensor, "T 3 H W"]:
    frames = np.stack([_coded_frame(number, height, width) for number in numbers])
    return torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()


def _numbers_in(clip: UInt8[Tensor, "T 3 H W"]) -> list[int]:
    height, width = clip.shape[2:]
    blocks = [clip[(slice(None), slice(None), *_block(bit, height, width, 2))] for bit in range(_BITS)]
    return sum((block.float().mean((1, 2, 3)) > 127).int() << bit for bit, block in enumerate(blocks)).tolist()


def _encode(
    path: Path,
    num_frames: int = 100,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pixels: str = "yuv420p",
    size: tuple[int, int] = (64, 128),
    container: str | None = None,
    steps_ms: Sequence[int] | None = None,
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.cumsum(np.resize(steps_ms or [40], num_frames))
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = size
        stream.pix_fmt = pixels
        stream.codec_context.thread_count = 1
        if steps_ms:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(_coded_frame(number, *size), format="rgb24")
            if steps_ms:
                frame.pts, frame.time_base = int(times[number]), Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def coded_clip() -> Callable[..., UInt8[Tensor, "T 3 H W"]]:
    """coded_clip(numbers, height=64, width=128): frames that show these numbers, each below 1024."""
    return _coded_clip


@pytest.fixture(scope="session")
def numbers_in() -> Callable[[UInt8[Tensor, "T 3 H W"]], list[int]]:
    """numbers_in(clip): the numbers that frames show."""
    return _numbers_in


@pytest.fixture(scope="session")
def encode() -> Callable[..., Path]:
    """encode(path, num_frames=100, codec=..., ...): writes a coded video; steps_ms make its rate variable."""
    return _encode


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scans are remembered in a folder of this test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def src(tmp_path: Path, encode: Callable[..., Path]) -> Path:
    """Three videos of two classes, one of them open to doubt, and one broken file."""
    root = tmp_path / "src"
    encode(root / "cat" / "a10.mp4", 23)
    encode(root / "cat" / "a9.mkv", 9)
    encode(root / "dog" / "b.avi", 12, codec="mpeg4", options={"bf": "2"})
    (root / "dog" / "broken.mp4").write_bytes(b"")
    return root


@pytest.fixture
def run(src: Path, tmp_path: Path) -> Callable[..., VideoIndex]:
    """run(name="out.zip", ...): makes a store of `src` in this process and scans it; options are those of `prepare`."""

    def prepare_and_scan(name: str = "out.zip", **options: Any) -> VideoIndex:
        options = {"resolution": "64x128", "workers": 1, **options}
        prepare(src, tmp_path / name, format="zip" if name.endswith(".zip") else "raw", **options)
        return scan(tmp_path / name, progress=False)

    return prepare_and_scan
