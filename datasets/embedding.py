"""Text inside of files that hold pictures or videos: where each format keeps a comment, written and found again.

Reading trusts nothing: it looks at a bounded number of blocks of bounded size, and decodes no picture.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from errors import InputError

MAX_TEXT_BYTES = 2**20
PNG_KEYWORD = "Comment"
CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}

_MAX_BLOCKS = 64  # before the first picture, behind which nothing is looked for
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# A TIFF directory of one entry, ImageDescription (0x010E), as text (type 2) that follows at byte 26.
_EXIF_START, _EXIF_TEXT_AT = struct.pack("<2sHIHHH", b"II", 42, 8, 1, 0x010E, 2), 26


def gif_blocks(data: bytes) -> bytes:
    """Data of any length in the form of a gif: blocks of up to 255 bytes, each after its length, closed by an empty."""
    blocks = (data[i : i + 255] for i in range(0, len(data), 255))
    return b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def gif_comment(text: str) -> bytes:
    """A comment extension of a gif; it stands before the first picture."""
    return b"!\xfe" + gif_blocks(text.encode("ascii"))


def riff_chunk(name: bytes, data: bytes) -> bytes:
    """A named piece of a WebP file, of even length."""
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def exif(text: str) -> bytes:
    """Text as the description of a picture, in the form that WebP files keep."""
    data = text.encode("ascii") + b"\0"
    return _EXIF_START + struct.pack("<III", len(data), _EXIF_TEXT_AT, 0) + data


def embedded_text(path: Path) -> str | None:
    """The comment inside of a file, as far as its format has a place for one; None where there is none.

    Args:
        path: A file in a format of `EMBEDDING`, by its suffix.

    Raises:
        InputError: The file is damaged, or not of the format its name says.
    """
    suffix = path.suffix.lower()
    if suffix in CONTAINERS:
        return _container_comment(path, CONTAINERS[suffix])
    with path.open("rb") as file:
        try:
            text = _FINDERS[suffix](file)
        except (EOFError, ValueError) as error:
            raise InputError(f"{path}: is not a complete {suffix} file ({error}); make it again") from error
    return None if text is None else text.decode("utf-8", "replace")


def _container_comment(path: Path, container: str) -> str | None:
    import av
    import av.error

    options = {"protocol_whitelist": "file"}  # no play list, and nothing that a file could point to
    try:
        with av.open(str(path.absolute()), format=container, options=options, metadata_errors="replace") as file:
            tags = {name.lower(): value for name, value in file.metadata.items()}
    except PermissionError:
        raise
    except av.error.FFmpegError as error:
        raise InputError(f"{path}: is not a complete {path.suffix} file; make it again") from error
    comment = tags.get("comment")
    return comment if comment is not None and len(comment) <= MAX_TEXT_BYTES else None


def _gif_comment_of(file: BinaryIO) -> bytes | None:
    head = _exactly(file, 13)
    _check(head[:3] == b"GIF", "no gif")
    if head[10] & 0x80:
        _exactly(file, 3 << (head[10] & 7) + 1)  # the palette that pictures may share
    for _ in range(_MAX_BLOCKS):
        if _exactly(file, 1) != b"!":
            return None
        kind, data = _exactly(file, 1), bytearray()
        while length := _exactly(file, 1)[0]:
            data += _exactly(file, length)
            _check(len(data) <= MAX_TEXT_BYTES, "a comment without end")
        if kind == b"\xfe":
            return bytes(data)
    return None


def _webp_description_of(file: BinaryIO) -> bytes | None:
    head = _exactly(file, 12)
    _check(head[:4] == b"RIFF" and head[8:] == b"WEBP", "no WebP")
    for _ in range(_MAX_BLOCKS):
        start = file.read(8)
        if len(start) < 8 or start[:4] in (b"ANMF", b"VP8 ", b"VP8L"):
            return None
        (length,) = struct.unpack("<I", start[4:])
        if start[:4] == b"EXIF" and length <= MAX_TEXT_BYTES + _EXIF_TEXT_AT + 1:
            data = _exactly(file, length)
            return data[_EXIF_TEXT_AT:].rstrip(b"\0") if data.startswith(_EXIF_START) else None
        file.seek(length + length % 2, 1)
    return None


def _png_comment_of(file: BinaryIO) -> bytes | None:
    _check(_exactly(file, 8) == _PNG_SIGNATURE, "no png")
    keyword = PNG_KEYWORD.encode() + b"\0"
    for _ in range(_MAX_BLOCKS):
        length, kind = struct.unpack(">I4s", _exactly(file, 8))
        if kind == b"IDAT":
            return None
        if kind == b"tEXt" and length <= MAX_TEXT_BYTES + len(keyword):
            data = _exactly(file, length)
            if data.startswith(keyword):
                return data[len(keyword) :]
            length = 0
        file.seek(length + 4, 1)
    return None


def _exactly(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise EOFError("it ends early")
    return data


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


_FINDERS = {".gif": _gif_comment_of, ".webp": _webp_description_of, ".png": _png_comment_of}
EMBEDDING = frozenset({*CONTAINERS, *_FINDERS})
