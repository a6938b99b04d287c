from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from errors import InputError
from fields.upscaling.pictures import read_header, read_picture

RED_LEFT = np.zeros((4, 6, 3), np.uint8)
RED_LEFT[:, :3, 0] = 200
RED_LEFT[0, :, 2] = 100


def saved(path: Path, image: Image.Image, **how: Any) -> Path:
    image.save(path, **how)
    return path


def png_of_16_bits(path: Path, colour_type: int, values: np.ndarray) -> Path:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read_header(path)
        read_picture(path, (1, 1))
    text = str(error.value)
    assert text.startswith(str(path)) and "\n" not in text
    return text


@pytest.mark.parametrize(
    ("mode", "channels", "alpha"),
    [("RGB", 3, False), ("L", 1, False), ("1", 1, False), ("RGBA", 3, True), ("LA", 1, True), ("P", 3, False)],
)
def test_kinds_of_pictures_become_grey_or_colour(tmp_path: Path, mode: str, channels: int, alpha: bool) -> None:
    image = Image.fromarray(RED_LEFT).convert(mode)
    path = saved(tmp_path / "a.png", image)
    header, picture = read_header(path), read_picture(path, (4, 6))
    assert (header.size, header.channels, header.alpha, header.depth) == ((4, 6), channels, alpha, 8)
    assert picture.pixels.shape == (4, 6, channels) and (picture.alpha is not None) == alpha
    expected = image.convert("RGB" if channels == 3 else "L")
    np.testing.assert_array_equal(picture.pixels.squeeze(), np.asarray(expected))


def test_palettes_with_a_transparent_colour_have_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(RED_LEFT).quantize(4)
    path = saved(tmp_path / "a.png", image, transparency=int(np.asarray(image)[3, 0]))
    picture = read_picture(path, (4, 6))
    assert read_header(path).alpha
    np.testing.assert_array_equal(picture.alpha[1:], np.repeat([[0, 255]], 3, 1).repeat(3, 0))
    np.testing.assert_array_equal(picture.pixels[1:], RED_LEFT[1:])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    # How the stored rows and columns come about by the EXIF standard: (first row, first column) are these sides.
    stored = {
        1: RED_LEFT,  # top, left
        2: RED_LEFT[:, ::-1],  # top, right
        3: RED_LEFT[::-1, ::-1],  # bottom, right
        4: RED_LEFT[::-1],  # bottom, left
        5: RED_LEFT.swapaxes(0, 1),  # left, top
        6: RED_LEFT.swapaxes(0, 1)[::-1],  # right, top
        7: RED_LEFT.swapaxes(0, 1)[::-1, ::-1],  # right, bottom
        8: RED_LEFT.swapaxes(0, 1)[:, ::-1],  # left, bottom
    }[orientation]
    stored = Image.fromarray(np.ascontiguousarray(stored))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = saved(tmp_path / "a.png", stored, exif=exif)
    picture = read_picture(path, (4, 6))
    assert read_header(path).size == (4, 6)
    np.testing.assert_array_equal(picture.pixels, RED_LEFT)
    assert ExifTags.Base.Orientation not in _exif_of(picture.kept)


def _exif_of(kept: dict[str, Any]) -> Image.Exif:
    exif = Image.Exif()
    exif.load(kept.get("exif", b""))
    return exif


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_what_is_known_of_a_picture_is_kept(tmp_path: Path, suffix: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "somebody"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageHeight] = 4
    dpi = {} if suffix == ".webp" else {"dpi": (300, 200)}
    exif = exif.tobytes()  # as an object, a tif would take only half of it
    path = saved(tmp_path / f"a{suffix}", Image.fromarray(RED_LEFT), exif=exif, icc_profile=profile, **dpi)
    kept = read_picture(path, (40, 60)).kept
    assert kept["icc_profile"] == profile
    found = _exif_of(kept)
    assert found[ExifTags.Base.Artist] == "somebody"
    inner = found.get_ifd(ExifTags.IFD.Exif)
    assert (inner[ExifTags.Base.ExifImageWidth], inner[ExifTags.Base.ExifImageHeight]) == (60, 40)
    assert ExifTags.Base.StripOffsets not in found and ExifTags.Base.ImageWidth not in found
    if dpi:
        assert kept["dpi"] == pytest.approx((300, 200), abs=0.02)


def test_a_picture_of_which_nothing_is_known_gains_nothing(tmp_path: Path) -> None:
    assert read_picture(saved(tmp_path / "a.png", Image.fromarray(RED_LEFT)), (4, 6)).kept == {}


def test_damaged_exif_does_not_cost_the_picture(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    entry = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, ExifTags.Base.Artist, 2, 2**28, 26)  # of 2^28 bytes
    path = saved(tmp_path / "a.jpg", Image.fromarray(RED_LEFT), exif=entry)
    picture = read_picture(path, (4, 6))
    assert picture.pixels.shape == (4, 6, 3) and "exif" not in picture.kept
    assert "its EXIF is damaged" in caplog.text


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_of_16_bits_keeps_them(tmp_path: Path, suffix: str) -> None:
    values = np.arange(0, 24 * 2700, 2700, dtype=np.uint16).reshape(4, 6)
    path = saved(tmp_path / f"a{suffix}", Image.fromarray(values))
    assert read_header(path).depth == 16 and read_header(path).channels == 1
    picture = read_picture(path, (4, 6))
    assert picture.pixels.dtype == np.uint16
    np.testing.assert_array_equal(picture.pixels[..., 0], values)


def test_16_bits_per_colour_are_refused_as_half_of_them_would_be_lost(tmp_path: Path) -> None:
    for kind, channels in ((2, 3), (4, 2), (6, 4)):
        path = png_of_16_bits(tmp_path / "a.png", kind, np.zeros((2, 3, channels), np.uint16))
        assert "16 bits per colour, of which 8 would be lost" in refusal(path)
    (tmp_path / "a.ppm").write_bytes(b"P6\n2 1\n65535\n" + bytes(12))
    assert "16 bits per colour" in refusal(tmp_path / "a.ppm")


@pytest.mark.parametrize(("mode", "suffix"), [("CMYK", ".jpg"), ("F", ".tif"), ("I", ".tif"), ("LAB", ".tif")])
def test_kinds_of_pixels_that_cannot_be_kept_are_refused(tmp_path: Path, mode: str, suffix: str) -> None:
    path = saved(tmp_path / f"a{suffix}", Image.new(mode, (6, 4)))
    assert f"has pixels of kind {mode}: make it a picture in RGB or grey" in refusal(path)


def test_animations_are_refused(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    path = saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert "holds 2 pictures" in refusal(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp", ".gif"])
@pytest.mark.parametrize("share", [0, 0.3, 0.8])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    path = saved(tmp_path / f"a{suffix}", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    text = refusal(path)
    assert any(one in text for one in ("is damaged", "is empty", "no picture of a format")), text


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello")
    assert "no picture of a format" in refusal(tmp_path / "a.png")
    (tmp_path / "a.ps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n")
    assert "no picture of a format" in refusal(tmp_path / "a.ps")  # Pillow would start another program
    assert "no such file" in refusal(tmp_path / "none.png")
    (tmp_path / "a.bmp").write_bytes(
        b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 0, 0, 1, 24, 0, 0, 0, 0, 0, 0)
    )
    assert any(one in refusal(tmp_path / "a.bmp") for one in ("no pixels", "damaged", "no picture"))


def test_pictures_of_too_many_pixels_are_refused_by_their_header(tmp_path: Path) -> None:
    path = png_of_16_bits(tmp_path / "a.png", 0, np.zeros((1, 1), np.uint16))
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    path.write_bytes(bytes(data))
    assert "more pixels than Pillow opens" in refusal(path)
