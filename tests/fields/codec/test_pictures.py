from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from errors import InputError
from fields.codec.pictures import are_pictures, inflate, read_pictures, write_pictures

NOISE = np.random.default_rng(0).integers(0, 256, (3, 9, 14), np.uint8)
SMOOTH = (np.linspace(0, 6, 3 * 9 * 14).reshape(3, 9, 14) % 2 * 100).astype(np.uint8)


@pytest.mark.parametrize("form", ["png", "zlib"])
@pytest.mark.parametrize("shape", [(3, 9, 14), (1, 1, 1), (2, 1, 5)])
def test_lossless_forms_give_back_every_byte(form: str, shape: tuple[int, int, int]) -> None:
    stack = NOISE[: shape[0], : shape[1], : shape[2]]
    assert np.array_equal(read_pictures(write_pictures(stack, form, 0), form, shape), stack)


@pytest.mark.parametrize("shape", [(3, 9, 14), (1, 1, 1), (2, 1, 5)])
def test_jpeg_is_near_and_smaller_with_less_quality(shape: tuple[int, int, int]) -> None:
    stack = SMOOTH[: shape[0], : shape[1], : shape[2]]
    fine, coarse = (write_pictures(stack, "jpeg", quality) for quality in (95, 5))
    found = read_pictures(fine, "jpeg", shape)
    assert found.shape == shape and np.abs(found.astype(int) - stack).max() <= 12
    assert len(coarse) <= len(fine)


def test_each_jpeg_is_one_that_other_programs_read() -> None:
    data = write_pictures(SMOOTH, "jpeg", 90)
    size = int.from_bytes(data[:4], "little")
    with Image.open(io.BytesIO(data[4 : 4 + size])) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "L", (14, 9))


@pytest.mark.parametrize("form", ["png", "jpeg", "zlib", "hevc"])
def test_bytes_of_another_shape_or_cut_off_are_refused(form: str) -> None:
    data = write_pictures(NOISE, form, 20)
    for shape in ((4, 9, 14), (2, 9, 14), (3, 9, 140), (3, 90, 14)):
        with pytest.raises(InputError):
            read_pictures(data, form, shape)
    with pytest.raises(InputError):
        read_pictures(data[: len(data) // 3], form, (3, 9, 14))
    with pytest.raises(InputError):
        read_pictures(b"", form, (3, 9, 14))


def test_a_picture_in_another_format_or_in_colour_is_refused() -> None:
    file = io.BytesIO()
    Image.fromarray(NOISE[0]).save(file, "GIF")
    with pytest.raises(InputError, match="cannot be read"):
        read_pictures(file.getvalue(), "png", (1, 9, 14))
    file = io.BytesIO()
    Image.new("RGB", (14, 9)).save(file, "PNG")
    with pytest.raises(InputError, match="RGB"):
        read_pictures(file.getvalue(), "png", (1, 9, 14))
    with pytest.raises(InputError, match="form 'bmp'"):
        read_pictures(b"", "bmp", (1, 9, 14))


def test_what_would_inflate_to_more_is_stopped() -> None:
    bomb = zlib.compress(bytes(10**7))
    for size in (0, 10**7 - 1, 10**7 + 1):
        with pytest.raises(InputError, match=f"{size} bytes"):
            inflate(bomb, size)
    assert inflate(bomb, 10**7) == bytes(10**7)
    with pytest.raises(InputError, match="bytes"):
        inflate(bomb + b"x", 10**7)
    with pytest.raises(InputError, match="damaged"):
        inflate(b"abc", 3)


def test_pictures_too_large_for_programs_are_told() -> None:
    assert are_pictures((1, 8192, 8192)) and are_pictures((3, 65_000, 1))
    assert not are_pictures((2, 8192, 8192)) and not are_pictures((1, 1, 65_001))
