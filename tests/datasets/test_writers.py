from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.sources import FrameFolder
from datasets.writers import NpyWriter
from tests.datasets.written import write

Clip = Callable[..., torch.Tensor]


def test_pictures_are_exact(coded_clip: Clip, tmp_path: Path) -> None:
    clip = coded_clip(range(12), 5, 20)
    folder = write(tmp_path / "new" / "frames", clip)
    assert sorted(file.name for file in folder.iterdir()) == [f"{i:06d}.png" for i in range(12)]
    assert FrameFolder(folder).read(range(12)).equal(clip)


def test_an_array_is_exact_and_can_be_mapped(coded_clip: Clip, tmp_path: Path) -> None:
    clip = coded_clip(range(1005), 4, 10)
    frames = np.load(write(tmp_path / "a.npy", clip, some=100), mmap_mode="r", allow_pickle=False)
    assert isinstance(frames, np.memmap)
    assert (frames.dtype, frames.shape) == (np.uint8, (1005, 4, 10, 3))
    assert torch.from_numpy(frames.copy()).permute(0, 3, 1, 2).equal(clip)
    assert (tmp_path / "a.npy").stat().st_size == 128 + clip.numel()


def test_an_array_grows_on_the_disk_and_not_in_memory(tmp_path: Path) -> None:
    writer = NpyWriter(tmp_path / "a.npy")
    frames = torch.zeros(10, 3, 64, 64, dtype=torch.uint8)
    for i in range(1, 4):
        writer.write(frames)
        assert (tmp_path / "a.npy").stat().st_size >= i * frames.numel()
    writer.close()


def test_a_full_disk_leaves_no_pictures(coded_clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Image.Image.save

    def save_few(image: Image.Image, path: Path, *args: Any, **options: Any) -> None:
        if path.name == "000005.png":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        save(image, path, *args, **options)

    monkeypatch.setattr(Image.Image, "save", save_few)
    with pytest.raises(OSError, match="No space left") as failure:
        write(tmp_path / "frames", coded_clip(range(9)))
    assert failure.value.filename == str(tmp_path / "frames")
    assert list(tmp_path.iterdir()) == []
