from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.images import ImageFile, ImageInZip, image_size
from datasets.sources import Source, decode_image
from datasets.video_facts import UnreadableVideo
from errors import InputError

Put = Callable[[str, bytes], ImageFile | ImageInZip]


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 40, 3), dtype=np.uint8)


@pytest.fixture(params=["file", "stored", "packed"])
def put(request: pytest.FixtureRequest, tmp_path: Path) -> Put:
    """put(name, content): an image file on disk, or among others in a zip."""

    def in_zip(name: str, content: bytes) -> ImageInZip:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if request.param == "stored" else zipfile.ZIP_DEFLATED) as z:
            for member in ("first.png", name, "sub/last.png"):
                z.writestr(member, content if member == name else encoded(np.zeros((3, 3, 3), np.uint8)))
        return ImageInZip(path, name)

    def on_disk(name: str, content: bytes) -> ImageFile:
        (tmp_path / name).write_bytes(content)
        return ImageFile(tmp_path / name)

    return on_disk if request.param == "file" else in_zip


def encoded(pixels: np.ndarray, format: str = "PNG", **options: object) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format, **options)
    return data.getvalue()


def test_an_image_is_a_source_of_one_frame(put: Put, pixels: np.ndarray) -> None:
    image = put("a.png", encoded(pixels))
    assert isinstance(image, Source)
    assert (len(image), image.size) == (1, (20, 40))
    assert np.array_equal(image.read([0, 0])[1].permute(1, 2, 0), pixels)
    with pytest.raises(IndexError):
        image.read([1])


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM"])
def test_the_size_is_that_of_the_decoded_image(put: Put, pixels: np.ndarray, format: str) -> None:
    assert image_size(put("a.png", encoded(pixels, format))) == (20, 40)  # the name does not decide


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_images_have_the_size_in_which_they_are_shown(
    tmp_path: Path, pixels: np.ndarray, format: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "a.png").write_bytes(encoded(pixels, format, exif=exif))
    image = ImageFile(tmp_path / "a.png")
    assert image_size(image) == image.size == decode_image(image.data(0)).shape[:2]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.1])
def test_an_incomplete_file_is_refused(put: Put, pixels: np.ndarray, format: str, kept: float) -> None:
    content = encoded(pixels, format)
    with pytest.raises(UnreadableVideo) as refused:
        image_size(put("a.png", content[: int(kept * len(content))]))
    assert refused.value.reason.startswith(("damaged: ", "not an image: "))


def test_bytes_behind_the_end_do_no_harm(put: Put, pixels: np.ndarray) -> None:
    assert image_size(put("a.jpg", encoded(pixels, "JPEG") + bytes(10))) == (20, 40)


def test_files_beyond_the_bounds_are_refused(put: Put, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableVideo, match="empty: the file has 0 bytes"):
        image_size(put("a.png", b""))
    monkeypatch.setattr("datasets.images.MAX_FRAME_BYTES", 50)
    with pytest.raises((UnreadableVideo, OSError), match="50 bytes"):
        image_size(put("b.png", encoded(pixels)))


def test_an_image_bomb_is_refused(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UnreadableVideo, match=r"damaged: .*exceeds limit"):
        image_size(put("a.png", encoded(np.zeros((30, 30), np.uint8))))


def test_damage_behind_the_header_is_found_when_the_image_is_read(put: Put, pixels: np.ndarray) -> None:
    content = bytearray(encoded(pixels))
    content[len(content) // 2] ^= 255
    image = put("a.png", bytes(content))
    assert image_size(image) == (20, 40)
    with pytest.raises(InputError, match="none of its 1 frames can be decoded"):
        image.read([0])


def test_a_missing_member_is_an_error_of_reading(tmp_path: Path, pixels: np.ndarray) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", encoded(pixels))
    with pytest.raises(OSError, match="not in the zip"):
        image_size(ImageInZip(tmp_path / "a.zip", "b.png"))
