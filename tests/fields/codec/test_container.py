from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from errors import InputError
from fields.codec.container import MAGIC, MAX_HEADER, Contents, Part, from_bytes, overhead, to_bytes

HERE = Path("file")
CONTENTS = Contents({"class_path": "x"}, {"psnr": 1.5}, 8, (Part("a", 0, "png", b"abc"), Part("b", 0, "zlib", b"")))


def with_header(header: Any, payload: bytes = b"") -> bytes:
    """A file with any header, and the right sum of it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(text).to_bytes(4, "little")
    return MAGIC + length + hashlib.sha256(length + text).digest() + text + payload


def header(**changes: Any) -> dict[str, Any]:
    return {"version": 1, "node": {}, "facts": {}, "group": 8, "parts": [], **changes}


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
    assert "header does not have its checksum" in error_of(data[:60] + b"~" + data[61:])
    assert "'a' does not have its checksum" in error_of(data[:-1] + b"x")
    assert "cut off or too long" in error_of(data[:-1])
    assert "cut off or too long" in error_of(data + b"x")


def test_a_header_that_would_fill_the_memory_is_refused() -> None:
    assert "cut off within its header" in error_of(MAGIC + b"\xff" * 100)
    assert "cut off within its header" in error_of(with_header(b" " * (MAX_HEADER + 1)))
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
        (header(version=2), "another version"),
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


def test_a_file_without_parts_is_one() -> None:
    assert from_bytes(with_header(header()), HERE).parts == ()
