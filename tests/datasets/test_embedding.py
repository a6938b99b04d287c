from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from datasets.embedding import MAX_TEXT_BYTES, embedded_text, exif, gif_blocks, gif_comment, riff_chunk
from errors import InputError
from tests.datasets.written import write

GIF_HEAD = b"GIF89a" + struct.pack("<HHBBB", 2, 2, 0x80, 0, 0) + bytes(6)
PNG_HEAD = b"\x89PNG\r\n\x1a\n"


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def webp(*chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, chunks))) + b"WEBP" + b"".join(chunks)


def test_gif_blocks_have_a_length_each() -> None:
    assert gif_blocks(b"abc") == b"\x03abc\0"
    assert gif_blocks(b"") == b"\0"
    assert gif_blocks(b"a" * 256) == b"\xff" + b"a" * 255 + b"\x01a\0"


def test_riff_chunks_have_even_lengths() -> None:
    assert riff_chunk(b"NAME", b"abc") == b"NAME\x03\0\0\0abc\0"
    assert riff_chunk(b"NAME", b"ab") == b"NAME\x02\0\0\0ab"


@pytest.mark.parametrize(
    "name, data, text",
    [
        ("a.gif", GIF_HEAD + b"!\xf9\x04\0\0\0\0\0" + gif_comment("hello") + b",", "hello"),
        ("a.gif", GIF_HEAD + b"," + gif_comment("too late"), None),
        ("a.gif", GIF_HEAD + b"!\x01\0" * 100 + gif_comment("too late"), None),
        ("a.webp", webp(riff_chunk(b"ODD ", b"abc"), riff_chunk(b"EXIF", exif("hello"))), "hello"),
        ("a.webp", webp(riff_chunk(b"ANMF", b"abc"), riff_chunk(b"EXIF", exif("too late"))), None),
        ("a.webp", webp(riff_chunk(b"EXIF", b"MM" + exif("of others")[2:])), None),
        ("a.webp", webp(), None),
        ("a.png", PNG_HEAD + png_chunk(b"tEXt", b"Author\0me") + png_chunk(b"tEXt", b"Comment\0hello"), "hello"),
        ("a.png", PNG_HEAD + png_chunk(b"IDAT", b"") + png_chunk(b"tEXt", b"Comment\0too late"), None),
        ("a.png", PNG_HEAD + png_chunk(b"tEXt", b"Comment\0\xff"), "\ufffd"),
        ("A.PNG", PNG_HEAD + png_chunk(b"tEXt", b"Comment\0" + b"a" * MAX_TEXT_BYTES), "a" * MAX_TEXT_BYTES),
    ],
)
def test_comments_are_found_before_the_first_picture(name: str, data: bytes, text: str | None, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    assert embedded_text(tmp_path / name) == text


def test_pictures_of_pillow_are_read(tmp_path: Path) -> None:
    picture, text = Image.new("RGB", (2, 2)), PngInfo()
    text.add_text("Comment", "hello")
    picture.save(tmp_path / "a.png", pnginfo=text)
    picture.save(tmp_path / "a.gif", comment=b"hello")
    assert [embedded_text(tmp_path / name) for name in ("a.png", "a.gif")] == ["hello"] * 2
    for name in ("b.png", "b.gif", "b.webp"):
        picture.save(tmp_path / name)
        assert embedded_text(tmp_path / name) is None


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.gif", "a.webp", "a.png"])
@pytest.mark.parametrize("data", [b"", b"no video at all, but text that goes on for a while", bytes(100)])
def test_what_is_no_such_file_is_one_clear_line(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=rf"{name}: is not a complete {name[1:]} file.*; make it again") as refusal:
        embedded_text(tmp_path / name)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "name, data",
    [
        ("a.gif", GIF_HEAD + b"!\xfe\x05hel"),
        ("a.gif", GIF_HEAD + b"!\xfe" + gif_blocks(b"a" * (MAX_TEXT_BYTES + 1))),
        ("a.gif", GIF_HEAD[:12]),
        ("a.webp", webp(riff_chunk(b"EXIF", exif("hello")))[:-4]),
        ("a.png", PNG_HEAD + png_chunk(b"tEXt", b"Comment\0hello")[:-6]),
        ("a.png", PNG_HEAD + struct.pack(">I", 2**32 - 1) + b"tEXt"),
    ],
)
def test_what_ends_early_or_never_is_one_clear_line(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name}: is not a complete"):
        embedded_text(tmp_path / name)


def test_play_lists_are_not_followed(coded_clip: Callable[..., torch.Tensor], tmp_path: Path) -> None:
    write(tmp_path / "real.mp4", coded_clip([1]), metadata={"secret": 1})
    (tmp_path / "a.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.mp4\n#EXT-X-ENDLIST\n")
    with pytest.raises(InputError, match=r"a\.mp4: is not a complete"):
        embedded_text(tmp_path / "a.mp4")


def test_a_container_with_too_long_a_comment_has_none(
    coded_clip: Callable[..., torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.mp4", coded_clip([1]), metadata={"a": "b"})
    assert embedded_text(path) == '{"a": "b"}'
    monkeypatch.setattr("datasets.embedding.MAX_TEXT_BYTES", 9)
    assert embedded_text(path) is None
