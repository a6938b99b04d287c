"""Videos whose every pixel says which video and which frame it is of, and a network that keeps what it saw."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stylegan_v.metrics.sides import FilmedSide, RealSide

SIZE = (16, 16)
MANY = [20, 16, 15, 24, 3, 18, 30, 17, 40, 21, 19, 16]  # frames of videos: 15 and 3 are too short for clips of 16


def write_videos(root: Path, lengths: Sequence[int], *, first: int = 0, size: tuple[int, int] = SIZE) -> Path:
    """Folders "v1", "v2", ... "v10" of frames "1.png", "2.png", ... "10.png": as text, "10" comes before "2".

    Args:
        root: Where; made.
        lengths: Frames of the videos.
        first: Number that the pixels of the first video say.
        size: Height and width.
    """
    for number, length in enumerate(lengths):
        folder = root / f"v{number + 1}"
        folder.mkdir(parents=True)
        for time in range(length):
            frame = np.full((*size, 3), (first + number, time // 256, time % 256), np.uint8)
            Image.fromarray(frame).save(folder / f"{time + 1}.png", compress_level=0)
    return root


def zipped(root: Path) -> Path:
    """The folder as a zip beside it, its members in the order of text."""
    path = root.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(root.rglob("*.png"), key=str):
            archive.write(file, file.relative_to(root))
    return path


def video_and_times(clips: Tensor) -> list[tuple[int, list[int]]]:
    """What the pixels of clips say: number of the video, numbers of the frames."""
    assert (clips == clips[..., :1, :1]).all()
    said = clips[..., 0, 0].long()
    assert (said[:, :, 0] == said[:, :1, 0]).all()
    return [(int(clip[0, 0]), (256 * clip[:, 1] + clip[:, 2]).tolist()) for clip in said]


class Stub:
    """A feature network that keeps all clips it is shown, and all it answers.

    Features are smooth functions of the first and the last frame, so that both what is shown and when matters.
    """

    name, digest, caveat = "stub", "definition:stub", ""

    def __init__(self, unit: Literal["clip", "frame"] = "clip", *, min_frames: int = 1, dim: int = 4) -> None:
        self.unit, self.min_frames = unit, min_frames
        self.weights = torch.randn(6, dim, generator=torch.Generator().manual_seed(1))
        self.clips: list[Tensor] = []
        self.answers: list[Tensor] = []

    def to(self, device: torch.device | str) -> Stub:
        return self

    def features(self, clips: Tensor) -> Tensor:
        self.clips.append(clips.clone())
        items = clips if self.unit == "clip" else clips.flatten(0, 1).unsqueeze(1)
        ends = torch.cat([items[:, 0], items[:, -1]], dim=1).float().mean(dim=(2, 3)) / 255
        self.answers.append(torch.sin(3 * ends @ self.weights) + ends @ self.weights)
        return self.answers[-1]

    def probabilities(self, clips: Tensor) -> Tensor:
        features = self.features(clips)
        self.answers[-1] = features.softmax(dim=1)
        return self.answers[-1]

    @property
    def shown(self) -> list[tuple[int, list[int]]]:
        """Video and frames of every clip, in order."""
        return [clip for clips in self.clips for clip in video_and_times(clips)]


def real_side(root: Path, lengths: Sequence[int] = MANY, **settings: Any) -> RealSide:
    return RealSide.open(write_videos(root, lengths, **settings))


def filmed_side(root: Path, lengths: Sequence[int], **settings: Any) -> FilmedSide:
    return FilmedSide.open(write_videos(root, lengths, first=100, **settings))
