"""Stacks of grey pictures as bytes: lossless as PNG, lossy as JPEG or HEVC, and plain where they are no pictures.

What is read is of unknown origin: its size is known beforehand, and anything else is refused before memory is taken.

Shape legend
    K       pictures of a stack
    H, W    their height and width
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image

from errors import InputError
from fields.codec.hevc import read_hevc, write_hevc

FORMS = ("png", "jpeg", "hevc", "zlib")
_MAX_SIDE, _MAX_PIXELS = 65_000, 2**26  # of what JPEG can hold, and Pillow reads without concern
Pictures = UInt8[np.ndarray, "K H W"]


def are_pictures(shape: Sequence[int]) -> bool:
    """Whether a stack of this shape can be coded as pictures; else it is "zlib"."""
    return max(shape[1:]) <= _MAX_SIDE and shape[0] * shape[1] * shape[2] <= _MAX_PIXELS


def write_pictures(stack: Pictures, form: str, quality: float) -> bytes:
    """A stack as bytes.

    Args:
        stack: To be coded.
        form: "png", one file of all, one below the other; "jpeg", a file of each; "hevc", a video; "zlib".
        quality: Of JPEG, 1 to 100, or the CRF of HEVC, 0 to 51; the lossless forms take no notice.
    """
    if form == "zlib":
        return zlib.compress(np.ascontiguousarray(stack).tobytes(), 9)
    if form == "hevc":
        return write_hevc(stack, quality)
    if form == "jpeg":
        return _joined([_saved(one, "JPEG", quality=int(quality), optimize=True) for one in stack])
    return _saved(rearrange(stack, "k h w -> (k h) w"), "PNG", optimize=True)


def read_pictures(data: bytes, form: str, shape: Sequence[int]) -> Pictures:
    """The stack that bytes hold.

    Args:
        data: As `write_pictures` gave them.
        form: As it was given.
        shape: Of the stack.

    Raises:
        InputError: They hold anything else.
    """
    k, h, w = shape
    if form == "zlib":
        return np.frombuffer(inflate(data, k * h * w), np.uint8).reshape(k, h, w)
    if form == "hevc":
        return read_hevc(data, (k, h, w))
    if form == "jpeg":
        return np.stack([_opened(one, "JPEG", (h, w)) for one in _split(data, k)])
    if form == "png":
        return rearrange(_opened(data, "PNG", (k * h, w)), "(k h) w -> k h w", k=k)
    raise InputError(f"form {form[:20]!r}: not one of {', '.join(FORMS)}")


def inflate(data: bytes, size: int) -> bytes:
    """What zlib compressed, of known size.

    Raises:
        InputError: It is damaged, or of another size.
    """
    machine = zlib.decompressobj()
    try:
        found = machine.decompress(data, size + 1)
    except zlib.error as error:
        raise InputError(f"compressed data are damaged ({error})") from error
    if len(found) != size or not machine.eof or machine.unused_data:
        raise InputError(f"compressed data do not hold the {size} bytes that belong there")
    return found


def _saved(picture: UInt8[np.ndarray, "H W"], form: str, **options: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, form, **options)
    return file.getvalue()


def _opened(data: bytes, form: str, shape: tuple[int, int]) -> UInt8[np.ndarray, "H W"]:
    try:
        with Image.open(io.BytesIO(data), formats=[form]) as image:
            if image.mode != "L" or image.size != shape[::-1]:
                raise InputError(f"a {form} is {image.mode} of {image.size}, not grey of {shape[::-1]}")
            return np.array(image)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a damaged or hostile file may raise anything
        raise InputError(f"a {form} cannot be read ({error})") from error


def _joined(files: Sequence[bytes]) -> bytes:
    """Files with the length of each before it."""
    return b"".join(len(file).to_bytes(4, "little") + file for file in files)


def _split(data: bytes, count: int) -> list[bytes]:
    files, begin = [], 0
    for _ in range(count):
        size = int.from_bytes(data[begin : begin + 4], "little")
        files.append(data[begin + 4 : begin + 4 + size])
        begin += 4 + size
    if begin != len(data):
        raise InputError("the lengths of pictures do not sum up to their bytes")
    return files
