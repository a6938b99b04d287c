from __future__ import annotations

import dataclasses
import mmap
import pickle
import pickletools
import struct

import pytest

from errors import InputError
from stylegan_v.official.opcodes import PLAIN, Limits, Operation, Span, operations, shown
from tests.stylegan_v.official.pickles import SAMPLE, op, pickled, text

LIMITS = Limits(PLAIN, operations=1000, memo=50, stack=20, marks=5, text=10, integer=4)


def listed(raw: bytes, limits: Limits = LIMITS) -> list[Operation]:
    return list(operations(raw, 0, len(raw), limits))


def test_the_sample_has_the_operations_that_pickletools_finds_and_ends_with_its_stop() -> None:
    large = dataclasses.replace(LIMITS, operations=10**6, memo=10**6, stack=10**5, marks=1000, text=4096, integer=16)
    with open(SAMPLE, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as source:
        found = list(operations(source, 0, len(source), large))
        for mine, (theirs, argument, position) in zip(found, pickletools.genops(SAMPLE.read_bytes()), strict=True):
            value = mine.argument.read() if isinstance(mine.argument, Span) else mine.argument
            assert (mine.name, mine.position, value) == (theirs.name, position, argument)
        assert found[-1].end == len(source)


@pytest.mark.parametrize("value", [0, 255, 65535, -1, 2**31 - 1, -(2**31), 1.5, -1e300, "text", "é€", b"bytes"])
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_arguments_are_those_that_were_pickled(value: object, protocol: int) -> None:
    found = [o.argument for o in listed(pickle.dumps(value, protocol=protocol)) if o.name not in ("PROTO", "FRAME")]
    read = found[0].read() if isinstance(found[0], Span) else found[0]
    assert read == value and type(read) is type(value)


def test_a_pickle_ends_at_its_stop_and_says_where() -> None:
    first = pickled(op("NONE"))
    raw = b"before" + first + b"after"
    assert list(operations(raw, 6, len(raw), LIMITS))[-1].end == 6 + len(first)


def test_long_text_and_all_bytes_stay_in_the_file() -> None:
    raw = pickled(text(11 * "a"), text(10 * "b"), op("SHORT_BINBYTES", b"\x01c"), op("TUPLE3"))
    long, short, single = (o.argument for o in listed(raw)[1:4])
    assert isinstance(long, Span) and long.source is raw and len(long) == 11 and long.read() == 11 * b"a"
    assert short == 10 * "b" and single.read() == b"c"


@pytest.mark.parametrize(
    "body, words",
    [
        (1000 * (op("EMPTY_TUPLE") + op("TUPLE1")), "more than 20 values wait"),
        (op("NONE") + 1000 * op("TUPLE1"), "more than 1000 operations by byte 1001"),
        (op("NONE") + op("BINPUT", b"\x32"), "memo 50, at most 50"),
        (op("NONE") + 51 * op("MEMOIZE"), "memo 50, at most 50"),
        (6 * op("MARK"), "nested deeper than 5"),
        (5 * (op("MARK") + 5 * op("NONE")), "more than 20 values wait"),
        (op("LONG1", b"\x05" + bytes(5)), "a number of 5 bytes, at most 4"),
        (op("BINBYTES8", struct.pack("<Q", 2**64 - 1)), "18446744073709551624 bytes announced, 10 left"),
        (op("FRAME", struct.pack("<Q", 3)) + op("NONE"), "12 bytes announced, 11 left"),
        (op("INT", b"1" * 10_000_000 + b"\n"), "INT at byte 2"),
    ],
)
def test_each_limit_has_its_own_refusal(body: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        listed(pickled(body))


def test_values_below_a_mark_are_not_taken_by_what_stands_above_it() -> None:
    fine = op("EMPTY_LIST") + op("MARK") + 2 * op("NONE") + op("APPENDS")
    assert listed(pickled(fine))[-1].name == "STOP"
    for body in (op("NONE") + op("MARK") + op("TUPLE1"), op("MARK") + op("NONE") + op("APPENDS"), op("MARK")):
        with pytest.raises(InputError):
            listed(pickled(body))


def test_cut_off_anywhere_is_refused() -> None:
    raw = pickled(op("BININT2", b"\1\2"), text("abc"), op("LONG1", b"\2ab"), op("TUPLE3"))
    assert listed(raw)[-1].end == len(raw)
    for end in range(len(raw)):
        with pytest.raises(InputError, match="cut off"):
            listed(raw[:end])


def test_pages_given_back_are_read_again() -> None:
    with open(SAMPLE, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as source:
        span = Span(source, 5, 100_000)
        before = span.read()
        span.forget()
        assert span.read() == before
    Span(b"in memory", 0, 2).forget()


def test_text_in_messages_is_short_and_printable() -> None:
    assert shown("a\n\x1b[0m\u202e") == "a\\n\\x1b[0m\\u202e"
    assert len(shown(10**6 * "\0")) == 80 and shown(10**6 * "\0").endswith("...")
