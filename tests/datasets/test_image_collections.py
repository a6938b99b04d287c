from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.image_collections import ImageCollection, ImageFiles, MadeImages
from datasets.synthetic_images import synthetic_image
from errors import InputError

CACHE = "cache"


def noise(seed: int, *size: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def write(folder: Path, images: dict[str, np.ndarray]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        Image.fromarray(image).save(folder / name)
    return folder


def below(root: Path, lr_root: Path | None = None, **more: object) -> ImageFiles:
    return ImageFiles.below(root, lr_root, cache_dir=root.parent / CACHE, progress=False, **more)


def test_files_are_found_in_natural_order(tmp_path: Path) -> None:
    originals = {f"{n}.png": noise(n, 8 + n, 9) for n in (2, 10, 1)}
    images = below(write(tmp_path / "images", originals))
    assert isinstance(images, ImageCollection)
    assert images.names == ["1.png", "2.png", "10.png"] and images.sizes == [(9, 9), (10, 9), (18, 9)]
    for i, name in enumerate(images.names):
        assert np.array_equal(images.read(i), originals[name])
    assert not images.has_small and images.read_small(0) is None


def test_small_versions_are_paired_by_name_with_or_without_a_scale(tmp_path: Path) -> None:
    large = write(tmp_path / "hr", {f"{n}.png": noise(n, 12, 12) for n in (1, 2, 10)})
    small = {"1x4.png": noise(4, 3, 3), "2.png": noise(5, 3, 3), "2x4.png": noise(6, 3, 3), "10x4.png": noise(7, 3, 3)}
    images = below(large, write(tmp_path / "lr", small))
    assert images.has_small
    for i, name in enumerate(["1x4.png", "2.png", "10x4.png"]):
        assert np.array_equal(images.read_small(i), small[name])


def test_a_missing_small_version_is_named(tmp_path: Path) -> None:
    large = write(tmp_path / "hr", {f"{n}.png": noise(n, 12, 12) for n in (1, 2)})
    with pytest.raises(InputError, match=r"no small version of 2.png \(1 are missing\)"):
        below(large, write(tmp_path / "lr", {"1x4.png": noise(4, 3, 3)}))


def test_decoded_images_are_the_images_and_follow_a_change_of_the_file(tmp_path: Path) -> None:
    root = write(tmp_path / "images", {"a.png": noise(1, 12, 13)})
    for image in (noise(1, 12, 13), noise(2, 20, 21)):
        write(root, {"a.png": image})
        os.utime(root / "a.png", ns=(0, image.shape[0]))
        for _ in range(2):  # from the file, then from what is kept
            images = below(root, decoded_dir=tmp_path / "decoded")
            assert np.array_equal(images.read(0), image)
    assert len(list((tmp_path / "decoded").glob("*.npy"))) == 2


def test_images_of_a_zip_have_their_own_decoded_copies(tmp_path: Path) -> None:
    root = write(tmp_path / "images", {f"{n}.png": noise(n, 12, 13) for n in range(3)})
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in root.iterdir():
            archive.write(path, path.name)
    images = below(tmp_path / "images.zip", decoded_dir=tmp_path / "decoded")
    for _ in range(2):
        for n in range(3):
            assert np.array_equal(images.read(n), noise(n, 12, 13))


def test_made_images_are_one_of_each_family_in_turn() -> None:
    images = MadeImages([7, 9], (16, 24), ["shapes", "text"])
    assert isinstance(images, ImageCollection)
    assert images.names == ["shapes_7", "text_7", "shapes_9", "text_9"] and images.sizes == [(16, 24)] * 4
    for i, name in enumerate(images.names):
        family, seed = name.split("_")
        assert np.array_equal(images.read(i), synthetic_image(family, int(seed), (16, 24)))
    with pytest.raises(InputError):
        MadeImages([], (16, 24))
