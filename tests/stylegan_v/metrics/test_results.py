"""Lines of JSON, and text for people."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from errors import InputError
from stylegan_v.metrics.results import append_line, as_text, read_lines

RECORD: dict[str, Any] = {
    "protocol": "fvd_16f",
    "protocol_hash": "0123456789abcdef",
    "value": 123.456789,
    "spread": 2.345,
    "draws": [121.0, 125.9],
    "bootstrap": None,
    "num_real": 100,
    "num_fake": 90,
    "sanity": {"real": 10.0, "frozen": 200.0, "shuffled": 300.0, "reversed": 12.0, "num": 50},
    "late": {"0": 120.0, "1000": 130.0},
    "data": "videos",
    "part": "test",
    "manifest_hash": "fedcba9876543210",
    "fake": "generator",
    "fake_hash": None,
    "size": [16, 16],
    "detector": "random_3d",
    "detector_hash": "definition:0011223344556677",
    "caveat": "not comparable with published numbers",
    "comparable": None,
    "skipped": {"real": 3, "fake": 1},
    "version": "0.1.0",
    "cached": True,
    "seconds": 12.34,
}


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "metrics.jsonl"
    assert read_lines(path) == []
    append_line(path, RECORD)
    append_line(path, {"other": "\u2028 \x85 ö"})
    assert read_lines(path) == [RECORD, {"other": "\u2028 \x85 ö"}]
    assert path.read_bytes().count(b"\n") == 2


def test_after_a_torn_line_only_that_one_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append_line(path, {"n": 1})
    with path.open("a") as file:
        file.write('{"n": 2, "val')
    append_line(path, {"n": 3})
    assert [record["n"] for record in read_lines(path)] == [1, 3]


def test_what_is_no_record_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'\n[1]\n"text"\n\xff\xfe\n{"n": 1}\n' + b"[" * 100_000 + b"\n")
    assert read_lines(path) == [{"n": 1}]


def test_numbers_that_json_does_not_know_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append_line(path, {"n": 1})
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON"):
            append_line(path, {"n": value})
    assert read_lines(path) == [{"n": 1}]


def test_line_that_cannot_be_written_whole_is_not_there_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    append_line(path, {"n": 1})
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        append_line(path, RECORD)
    assert path.read_bytes() == before


def test_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with path.open("wb") as file:
        file.truncate(2**28 + 1)
    with pytest.raises(InputError, match="too large"):
        read_lines(path)


def test_text_says_what_a_reader_must_know() -> None:
    text = as_text(RECORD)
    for part in (
        "fvd_16f: 123.46 +- 2.3 over 2 draws (100 real, 90 fake; test of videos)",
        "(50 each):  real 10   frozen 200   shuffled 300   reversed 12\n",
        "t0 0: 120   t0 1000: 130",
        "skipped as too short: 3 real, 1 fake videos",
        "random_3d definition:00112233",
        "protocol 01234567, data fedcba98, 12.3 s; statistics of real videos from the cache",
        "not comparable with published numbers",
    ):
        assert part in text
    assert text.endswith("\n") and "None" not in text


def test_text_leaves_out_what_there_is_not() -> None:
    nothing = {"spread": None, "num_real": None, "sanity": None, "late": None, "caveat": None, "cached": False}
    text = as_text({**RECORD, **nothing, "skipped": {"real": 0}, "comparable": "published values"})
    assert text.startswith("fvd_16f: 123.46 (90 fake; test of videos)\n") and "published values" in text
    assert "what it sees is not known: too few real videos" in text
    assert not any(word in text for word in ("None", "skipped", "real against", "late", "cache", "+-"))


def test_text_of_a_bootstrap() -> None:
    text = as_text({**RECORD, "bootstrap": {"std": 1.0, "low": -2.0, "high": 3.0}})
    assert "within one draw: std 1, low -2, high 3" in text


def test_record_is_plain() -> None:
    assert json.loads(json.dumps(RECORD, allow_nan=False)) == RECORD
