from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from errors import InputError
from fields.codec.container import MAGIC, MAX_HEADER, VERSION, Contents, Part, from_bytes, overhead, to_bytes

HERE = Path("file")
CONTENTS = Contents({"class_path": "x"}, {"psnr": 1.5}, 8, (Part("a", 0, "png", b"abc"), Part("b", 0, "zlib", b"")))


def with_header(header: Any, payload: bytes = b"") -> bytes:
    """A file with any header, and the right sum of it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return with_bytes(zlib.compress(text, wbits=-15), payload)


def with_bytes(deflated: bytes, payload: bytes = b"") -> bytes:
    """A file with anything where its header is, and the right sum of it."""
    length = len(deflated).to_bytes(4, "little")
    return MAGIC + length + hashlib.sha256(length + deflated).digest() + deflated + payload


def header(**changes: Any) -> dict[str, Any]:
    return {"version": VERSION, "node": {}, "facts": {}, "group": 8, "parts": [], **changes}


def error_of(data: bytes) -> str:
    with pytest.raises(InputError) as error:
        from_bytes(data, HERE)
    assert "\n" not in str(error.value) and str(error.value).startswith("file: ")
    return str(error.value)


def test_what_is_written_is_read() -> None:
    data = to_bytes(CONTENTS)
    assert from_bytes(data, HERE) == CONTENTS
    assert overhead(data) + 3 == len(data) and data.endswith(b"abc")


def test_damage_is_told_by_where_it_is() -> None:
    data = to_bytes(CONTENTS)
    assert "not a coded field" in error_of(b"\x89PNG" + data[4:])
    assert "cut off within its header" in error_of(data[:60])
    assert "header does not have its checksum" in error_of(data[:60] + bytes([data[60] ^ 1]) + data[61:])
    assert "'a' does not have its checksum" in error_of(data[:-1] + b"x")
    assert "cut off or too long" in error_of(data[:-1])
    assert "cut off or too long" in error_of(data + b"x")


def test_a_header_that_would_fill_the_memory_is_refused() -> None:
    assert "cut off within its header" in error_of(MAGIC + b"\xff" * 100)
    assert "cut off within its header" in error_of(with_bytes(b" " * (MAX_HEADER + 1)))
    assert "header is too long" in error_of(with_header(b" " * (MAX_HEADER + 1)))
    assert len(with_header(b" " * (3 * MAX_HEADER))) < MAX_HEADER  # which is not inflated to its end
    assert "header is too long" in error_of(with_header(b" " * (3 * MAX_HEADER)))
    with pytest.raises(InputError, match="larger groups"):
        to_bytes(Contents({}, {}, 8, tuple(Part("x" * 100, i, "png", b"") for i in range(40_000))))


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"9" * 10_000, "not valid JSON"),
        ([1], "not that of a coded field"),
        (header(node=json.loads("[" * 100 + "]" * 100)), "not that of a coded field"),
        (header(node=[0] * 500_000), "not that of a coded field"),
        (header(version=VERSION + 1), "another version"),
        (header(node="os.system"), "not that of a coded field"),
        (header(facts=[]), "not that of a coded field"),
        (header(facts={"a": {}}), "facts are no plain values"),
        (header(group=0), "not that of a coded field"),
        (header(group=True), "not that of a coded field"),
        (header(group=1.5), "not that of a coded field"),
        (header(parts=None), "not that of a coded field"),
        (header(parts=["abcde"]), "table of parts"),
        (header(parts=[["a", 0, "png", -1, 0]]), "table of parts"),
        (header(parts=[["a", -1, "png", 0, 0]]), "table of parts"),
        (header(parts=[["a", 0, "png", True, 0]]), "table of parts"),
        (header(parts=[["a", 0, "png", 0]]), "table of parts"),
        (header(parts=[["a", 0, "png", 10**30, 0]]), "cut off or too long"),
        (header(parts=[["a" * 1000, 0, "png", 0, 1]]), "does not have its checksum"),
    ],
)
def test_headers_of_anything_else_are_refused_though_their_sum_is_right(hostile: Any, message: str) -> None:
    assert message in error_of(with_header(hostile))
    assert len(error_of(with_header(hostile))) < 400


@pytest.mark.parametrize("change", [lambda text: text[:-1], lambda text: text + b"x", lambda text: b"\xff" + text])
def test_headers_that_are_no_deflated_ones_are_refused_though_their_sum_is_right(change: Any) -> None:
    text = zlib.compress(json.dumps(header()).encode(), wbits=-15)
    assert from_bytes(with_bytes(text), HERE).parts == ()
    assert "another version than 2" in error_of(with_bytes(change(text)))


def test_headers_of_the_first_version_are_refused_as_such() -> None:
    assert "another version than 2" in error_of(with_bytes(json.dumps(header(version=1)).encode()))


def test_a_header_takes_fewer_bytes_than_its_text() -> None:
    parts = tuple(Part(f"planes.{name}.table", 0, "png", b"") for name in ("yx", "ty", "tx"))
    data = to_bytes(Contents({"class_path": "fields.nvp.NVP"}, {"psnr": 1.5}, 8, parts))
    text = zlib.decompress(data[44:], wbits=-15)
    assert json.loads(text)["parts"] == [[part.name, 0, "png", 0, 0] for part in parts]
    assert overhead(data) == len(data) < 44 + len(text)


def test_a_file_without_parts_is_one() -> None:
    assert from_bytes(with_header(header()), HERE).parts == ()
