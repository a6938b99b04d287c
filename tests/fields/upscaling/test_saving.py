from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.settings import read_settings
from errors import InputError
from fields.upscaling.pictures import Header, Picture
from fields.upscaling.saving import SAVED, check_format, write_picture
from fields.upscaling.views import Target

VIEW = Target(scale=2).view((20, 30))
SETTINGS = {"command": "upscale", "size": [40, 60]}


def smooth(channels: int = 3) -> np.ndarray:
    y, x = np.mgrid[:40, :60]
    return np.stack([4 * x, 6 * y, 2 * (x + y)][:channels], -1).astype(np.uint8)


@pytest.mark.parametrize("suffix", SAVED)
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_written_in_high_quality(tmp_path: Path, suffix: str, channels: int) -> None:
    path = tmp_path / f"a{suffix}"
    picture = Picture(smooth(channels)[::2, ::2], None, {})
    write_picture(path, smooth(channels), picture, VIEW, SETTINGS)
    with Image.open(path) as made:
        pixels = np.asarray(made.convert("L" if channels == 1 else "RGB")).astype(int)
        assert made.info.get("quality") is None
    limit = 3 if suffix in (".jpg", ".jpeg") else 8 if suffix == ".webp" else 0
    assert np.abs(pixels - smooth(channels).squeeze()).max() <= limit
    assert read_settings(path) == SETTINGS
    assert sorted(one.name for one in tmp_path.iterdir()) == [path.name, f"{path.name}.json"]


def test_colours_of_a_jpg_have_full_resolution(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg", smooth(), Picture(smooth(), None, {}), VIEW, SETTINGS)
    with Image.open(tmp_path / "a.jpg") as made:
        assert [layer[1:3] for layer in made.layer] == [(1, 1)] * 3


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_transparency_is_kept(tmp_path: Path, suffix: str) -> None:
    alpha = np.zeros((20, 30), np.uint8)
    alpha[:, 15:] = 255
    write_picture(tmp_path / f"a{suffix}", smooth(), Picture(smooth()[::2, ::2], alpha, {}), VIEW, SETTINGS)
    with Image.open(tmp_path / f"a{suffix}") as made:
        assert made.mode == "RGBA"
        found = np.asarray(made)[..., 3]
    assert (found[:, :26] == 0).all() and (found[:, 34:] == 255).all()


@pytest.mark.parametrize(
    ("name", "alpha", "depth", "size", "message"),
    [
        ("a.xyz", False, 8, (4, 4), "pictures are written as .png"),
        ("a", False, 8, (4, 4), "pictures are written as .png"),
        ("a.JPG", True, 8, (4, 4), "jpg holds no transparency, which in.png has: give a .png"),
        ("a.bmp", True, 8, (4, 4), "bmp holds no transparency"),
        ("a.webp", False, 16, (4, 4), "webp holds no 16 bits"),
        ("a.jpg", False, 8, (4, 65536), "65536x4 pixels do not fit into a jpg, 65535 a side do"),
        ("a.webp", False, 8, (16384, 4), "4x16384 pixels do not fit into a webp, 16383 a side do"),
    ],
)
def test_formats_that_cannot_hold_the_result(
    name: str, alpha: bool, depth: int, size: tuple[int, int], message: str
) -> None:
    with pytest.raises(InputError) as error:
        check_format(Path(name), Header(Path("in.png"), (2, 2), 3, alpha, depth), size)
    assert message in str(error.value)


def test_formats_that_can() -> None:
    for name in SAVED:
        check_format(Path(f"a{name}"), Header(Path("in.png"), (2, 2), 3, False, 8), (4, 4))
    check_format(Path("a.tif"), Header(Path("in.png"), (2, 2), 1, False, 16), (70_000, 4))


def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space left") as error:
        write_picture(tmp_path / "a.png", smooth(), Picture(smooth(), None, {}), VIEW, SETTINGS)
    assert error.value.filename == os.fspath(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []
