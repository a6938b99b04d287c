"""Masks: pictures, folders, videos and arrays say the same; what does not fit is refused in a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.masks import read_mask
from datasets.video_writer import open_writer
from errors import InputError

SIZE = (3, 10, 14)


@pytest.fixture
def hidden() -> np.ndarray:
    found = np.zeros(SIZE, dtype=bool)
    for number in range(3):
        found[number, 2:6, number : number + 5] = True
    return found


def written(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def test_a_picture_is_the_mask_of_all_frames_and_white_is_hidden(hidden: np.ndarray, tmp_path: Path) -> None:
    for name, pixels in (
        ("grey.png", hidden[0] * np.uint8(255)),
        ("bits.png", hidden[0]),
        ("colour.png", np.where(hidden[0][..., None], [250, 240, 245], [90, 130, 200]).astype(np.uint8)),
    ):
        found = read_mask(written(tmp_path / name, pixels), SIZE)
        assert found.dtype == torch.bool and found.shape == SIZE
        assert (found.numpy() == hidden[0]).all()


def test_frames_have_masks_of_their_own(hidden: np.ndarray, tmp_path: Path) -> None:
    for number, frame in enumerate(hidden):
        written(tmp_path / "folder" / f"{number}.png", frame * np.uint8(255))
    with open_writer(tmp_path / "mask.mp4", 25, crf=0) as writer:
        writer.write(torch.from_numpy(hidden * np.uint8(255))[:, None].expand(-1, 3, -1, -1))
    for name in ("folder", "mask.mp4"):
        assert (read_mask(tmp_path / name, SIZE, cache_dir=tmp_path / "cache").numpy() == hidden).all()


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32, np.int64])
def test_arrays_are_booleans_or_numbers(hidden: np.ndarray, kind: type, tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", hidden.astype(kind))
    assert (read_mask(tmp_path / "mask.npy", SIZE).numpy() == hidden).all()
    np.save(tmp_path / "one.npy", hidden[1].astype(kind) * (255 if kind is np.uint8 else 1))
    assert (read_mask(tmp_path / "one.npy", SIZE).numpy() == hidden[1]).all()


def test_a_mask_of_the_whole_video_is_cut_and_scaled_with_it(hidden: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", hidden)
    part = read_mask(tmp_path / "mask.npy", (2, 10, 14), SIZE, first=1)
    assert (part.numpy() == hidden[1:]).all()
    small = read_mask(tmp_path / "mask.npy", (3, 5, 14), SIZE)
    assert small.shape == (3, 5, 14) and small.numpy().mean() > hidden.mean()
    fitted = read_mask(tmp_path / "mask.npy", SIZE, (9, 20, 28))  # of what is fitted, not of the whole
    assert (fitted.numpy() == hidden).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((3, 10, 13), bool), "10x13.*frames are 10x14"),
        (np.zeros((4, 10, 14), bool), "has 4 frames, the video 3"),
        (np.zeros((3, 10, 14, 3), bool), "no mask"),
        (np.zeros((0, 10, 14), bool), "no mask"),
        (np.array(["white"]), "no mask"),
    ],
)
def test_other_sizes_are_refused(values: np.ndarray, words: str, tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", values)
    with pytest.raises(InputError, match=words):
        read_mask(tmp_path / "mask.npy", SIZE)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for name in ("mask.npy", "mask.png", "mask.mp4"):
        (tmp_path / name).write_bytes(b"\x93NUMPY no")
        with pytest.raises(InputError, match=name):
            read_mask(tmp_path / name, SIZE, cache_dir=tmp_path / "cache")
    with pytest.raises(InputError, match="missing"):
        read_mask(tmp_path / "missing", SIZE)
