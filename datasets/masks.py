"""Masks of videos: white is hidden, to be filled; black is visible.

A picture is one mask for all frames; a video, or a folder or zip of frames, has one for each. An array (.npy) is
either, [H, W] or [F, H, W]: booleans, of which True is hidden, or numbers, of which the upper half is, of 0 to 1 or
of 0 to 255.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from datasets.single_signal import open_video
from datasets.sources import IMAGE_SUFFIXES, decode_image, read_bounded
from datasets.visibility import scaled
from errors import InputError

_HALF = 128
_READ_TOGETHER = 8  # frames
# Red, green and blue of the lightness of ITU-R BT.601, in thousandths; whole numbers, so that white is 255 exactly.
_LIGHTNESS = np.array([299, 587, 114])


def read_mask(
    path: str | Path,
    size: tuple[int, int, int],
    whole: tuple[int, int, int] | None = None,
    first: int = 0,
    cache_dir: str | Path | None = None,
) -> Bool[Tensor, "F H W"]:
    """Which pixels of a video are hidden.

    Args:
        path: A picture, a video, a folder or zip of frames, or an array.
        size: Frames, height and width of what is fitted.
        whole: Frames, height and width of the video that it is a part of; None: it is all of it. A mask of this size is
            cut and scaled with it.
        first: The first frame of the part.
        cache_dir: Where the scan of a folder is remembered.

    Raises:
        InputError: It cannot be read, or has another size or number of frames.
    """
    whole = size if whole is None else whole
    path = Path(path).expanduser()
    hidden = _read(path, cache_dir)
    if len(hidden) not in (1, size[0], whole[0]):
        raise InputError(
            f"{path}: has {len(hidden)} frames, the video {whole[0]}: give one mask, or one for each frame"
        )
    if hidden.shape[1:] not in (size[1:], whole[1:]):
        sizes = " or ".join(dict.fromkeys(f"{height}x{width}" for _, height, width in (whole, size)))
        raise InputError(
            f"{path}: is {hidden.shape[1]}x{hidden.shape[2]} (height x width), frames are {sizes}: scale it"
        )
    if len(hidden) == whole[0] > 1:
        hidden = hidden[first : first + size[0]]
    if hidden.shape[1:] != size[1:]:
        hidden = np.stack([scaled(one, size[1:]) for one in hidden])
    return torch.from_numpy(np.array(hidden)).expand(size)


def _read(path: Path, cache_dir: str | Path | None) -> Bool[np.ndarray, "F H W"]:
    """What a file or folder says is hidden: one frame, or several."""
    if path.suffix.lower() == ".npy":
        return _of_array(path)
    if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
        try:
            return _hidden(decode_image(read_bounded(path)))[None]
        except OSError as error:
            raise InputError(f"{path}: cannot be read as a picture ({error}): mend it") from error
    _, source = open_video(path, 25.0, cache_dir)
    found = []
    for start in range(0, len(source), _READ_TOGETHER):
        frames = source.read(range(start, min(start + _READ_TOGETHER, len(source))))
        found.append(_hidden(frames.permute(0, 2, 3, 1).numpy()))
    return np.concatenate(found)


def _hidden(pixels: Shaped[np.ndarray, "*F H W 3"]) -> Bool[np.ndarray, "*F H W"]:
    return pixels @ _LIGHTNESS >= 1000 * _HALF


def _of_array(path: Path) -> Bool[np.ndarray, "F H W"]:
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as an array ({error}): write it with numpy.save") from error
    if (
        not isinstance(values, np.ndarray)
        or values.ndim not in (2, 3)
        or 0 in values.shape
        or values.dtype.kind not in "biuf"
    ):
        raise InputError(f"{path}: is no mask [H, W] or [F, H, W] of booleans or numbers: write such an array")
    if values.dtype.kind != "b":
        values = values >= (_HALF if values.max() > 1 else 0.5)
    return np.asarray(values)[None] if values.ndim == 2 else np.asarray(values)
