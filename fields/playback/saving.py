"""Where videos of fields go: what is complete is skipped, what is something else stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from datasets.video_writer import SUFFIXES, open_writer, write_image
from errors import InputError
from fields.upscaling.places import folder_for

# Names that mean a file of another kind, and no folder.
_FILES = (".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".avi", ".mpg", ".mpeg", ".m4v", ".ts", ".flv", ".json", ".yaml")


def find_place(out: str, num_frames: int) -> Path:
    """The file or folder that ``out`` names.

    Args:
        out: A name with the suffix of a video, of a picture for a single frame, or without for a folder of pictures.
        num_frames: Of the result.

    Raises:
        InputError: Nothing can be written so.
    """
    path = Path(out).expanduser()
    suffix = path.suffix.lower()
    known = f"give a name that ends in {', '.join(SUFFIXES)}, or in nothing for a folder of png files"
    if not path.name or suffix in _FILES or (suffix and suffix not in (*SUFFIXES, ".png")):
        raise InputError(f"out: {path}: nothing is written so: {known}")
    if suffix == ".png" and num_frames != 1:
        raise InputError(f"out: {path}: is one picture, and {num_frames} frames are asked for: {known}")
    return path


def to_bytes(values: Float[Tensor, "F 3 h w"]) -> UInt8[Tensor, "F 3 h w"]:
    """Colours in [-1, 1] as 8 bits; beyond, those of the end."""
    return ((values / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).cpu()


def save(
    path: Path, frames: Iterable[UInt8[Tensor, "F 3 H W"]], fps: Fraction, crf: int | None, settings: Mapping[str, Any]
) -> None:
    """Writes frames as they come, whole or not at all.

    Args:
        path: As `find_place` gives it.
        frames: Some at a time, of one size.
        fps: Frames per second.
        crf: Of videos, 0 is best; None: as usual.
        settings: Plain values, left inside of the file and beside it.
    """
    with folder_for(path):
        if path.suffix.lower() == ".png":
            if crf is not None:
                raise InputError("crf: png files take none; leave it out")
            write_image(path, next(iter(frames))[0], metadata=settings)
            return
        with open_writer(path, fps, crf=crf, metadata=settings) as writer:
            for some in frames:
                writer.write(some)
