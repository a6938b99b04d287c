"""Videos written and read back by whatever reads their format, for tests of what is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageSequence
from torch import Tensor

from datasets.sources import FrameFolder, VideoFile
from datasets.video_writer import VideoWriter, open_writer

NAMES = ("a.mp4", "a.mov", "a.mkv", "a.webm", "a.gif", "a.webp", "a.npy", "frames")


def write(path: Path, clip: UInt8[Tensor, "F 3 H W"], fps: float | Fraction = 25, *, some: int = 7, **how: Any) -> Path:
    """Writes a clip, a few frames at a time."""
    with open_writer(path, fps, **how) as writer:
        assert isinstance(writer, VideoWriter)
        for part in clip.split(some):
            writer.write(part)
    return path


def read(path: Path) -> UInt8[Tensor, "F 3 H W"]:
    """All frames of a file or folder."""
    if path.suffix == ".npy":
        return torch.from_numpy(np.load(path, mmap_mode="r").copy()).permute(0, 3, 1, 2)
    if path.suffix == ".webp":
        return torch.stack([frame for frame, _ in shown(path)])
    source = VideoFile(path) if path.suffix else FrameFolder(path)
    return source.read(range(len(source)))


def shown(path: Path) -> Iterator[tuple[UInt8[Tensor, "3 H W"], int]]:
    """Frames of a gif or WebP as Pillow shows them, and for how many milliseconds."""
    with Image.open(path) as image:
        for frame in ImageSequence.Iterator(image):
            frame.load()  # of a WebP, the duration is known only then
            pixels = torch.from_numpy(np.array(frame.convert("RGB"))).permute(2, 0, 1)
            yield pixels, frame.info["duration"]


def content(path: Path) -> dict[str, bytes]:
    """What a file or folder holds, byte for byte, with the settings beside it."""
    beside = path.with_name(f"{path.name}.json")
    files = [*(path.iterdir() if path.is_dir() else [path]), *([beside] if beside.exists() else [])]
    return {file.name: file.read_bytes() for file in files}


def psnr(a: UInt8[Tensor, "..."], b: UInt8[Tensor, "..."]) -> float:
    """Peak signal-to-noise ratio, dB."""
    return float(10 * torch.log10(255**2 / (a.float() - b.float()).square().mean()))
