from __future__ import annotations

import struct
from typing import Any

import pytest

from errors import InputError
from stylegan_v.official.embedded import PlainReader, numbers, numpy_number, root_of
from stylegan_v.official.machine import Name, Record
from stylegan_v.official.opcodes import Span


def leaf(value: object) -> Record:
    return Record("AnyNode", (), {"_val": value})


def node(content: object, parent: Record | None = None, kind: str = "DictConfig") -> Record:
    return Record(kind, (), {"_content": content, "_parent": parent})


def scalar(code: str, raw: bytes, order: str = "<") -> Record:
    return Record("scalar", (Record("dtype", (code, False, True), (3, order, None)), Span(raw, 0, len(raw))))


def test_sections_of_every_kind_become_dicts_and_lists() -> None:
    reader = PlainReader()
    stored = {
        "dict": {"a": 1, 2: "b"},
        "easy": Record("EasyDict", (), None, {"x": 1.5, "y": None}),
        "ordered": Record("OrderedDict", (), None, {"z": True}),
        "config": node({"leaf": leaf(3), "list": node([leaf(1), node({"k": leaf("v")})], kind="ListConfig")}),
        "unset": node("???"),
        "reference": node("${a.b}"),
        "tuple": (1, (2, [3])),
        "numpy": leaf(scalar("f8", struct.pack("<d", 0.25))),
    }
    assert reader.section(stored, "all") == {
        "dict": {"a": 1, "2": "b"},
        "easy": {"x": 1.5, "y": None},
        "ordered": {"z": True},
        "config": {"leaf": 3, "list": [1, {"k": "v"}]},
        "unset": "???",
        "reference": "${a.b}",
        "tuple": [1, [2, [3]]],
        "numpy": 0.25,
    }
    assert reader.skipped == []


def test_what_is_not_plain_is_left_out_and_said() -> None:
    reader = PlainReader()
    stored = {
        "tensor": Record("_rebuild_tensor_v2", ()),
        "array": Record("_reconstruct", ()),
        "bytes": Span(b"abc", 0, 3),
        "name": Name("builtins", "int"),
        "set": {1},
        "other": Record("Adam", ()),
        "kept": [1, Span(b"", 0, 0), 2],
    }
    assert reader.section(stored, "s") == {"kept": [1, 2]}
    assert reader.skipped == [
        "s.tensor: a tensor, not needed",
        "s.array: a numpy array, not needed",
        "s.bytes: 3 bytes, not needed",
        "s.name: the name builtins.int, not needed",
        "s.set: a set, not needed",
        "s.other: an object of Adam, not needed",
        "s.kept[1]: 0 bytes, not needed",
    ]
    assert reader.section([1], "list") == {} and reader.skipped[-1] == "list: not a section of settings"


@pytest.mark.parametrize("key", [Record("OrderedDict", ()), 101 * "k"])
def test_keys_are_short_text_or_numbers(key: object) -> None:
    with pytest.raises(InputError, match="key"):
        PlainReader().section({key: 1}, "s")


def test_there_is_an_end_to_depth_and_number() -> None:
    deep: Any = 1
    for _ in range(30):
        deep = {"k": deep}
    with pytest.raises(InputError, match="nested deeper than 24"):
        PlainReader().section(deep, "s")
    assert PlainReader(11).section({"a": 9 * [1]}, "s") == {"a": 9 * [1]}
    with pytest.raises(InputError, match="too many"):
        PlainReader(10).section({"a": 9 * [1]}, "s")


@pytest.mark.parametrize(
    "code, order, raw, value",
    [
        ("f8", "<", struct.pack("<d", -1.5), -1.5),
        ("f4", "<", struct.pack("<f", 0.5), 0.5),
        ("f8", ">", struct.pack(">d", 3.25), 3.25),
        ("f2", "<", struct.pack("<e", 2.0), 2.0),
        ("i8", "<", struct.pack("<q", -(2**62)), -(2**62)),
        ("i4", ">", struct.pack(">i", 5), 5),
        ("u1", "|", b"\xff", 255),
        ("b1", "|", b"\x01", True),
    ],
)
def test_numpy_numbers_are_read_from_their_bytes(code: str, order: str, raw: bytes, value: object) -> None:
    read = numpy_number(scalar(code, raw, order))
    assert read == value and type(read) is type(value)


def test_the_type_of_a_numpy_number_may_come_without_its_state() -> None:
    raw = struct.pack("<d", 1.5)
    assert numpy_number(Record("scalar", (Record("dtype", ("f8", 0, 1)), Span(raw, 0, 8)))) == 1.5


def test_the_root_is_the_last_of_the_parents() -> None:
    root = node({})
    middle = node({}, root)
    assert root_of(node([], middle, "ListConfig")) is root and root_of(root) is root
    assert root_of(None) is None and root_of({"a": 1}) is None and root_of(leaf(1)) is None


def test_a_config_without_content_is_damaged() -> None:
    for broken in (Record("DictConfig", ()), Record("DictConfig", (), (1, 2))):
        with pytest.raises(InputError, match="no content"):
            root_of(broken)
        with pytest.raises(InputError, match="no content"):
            PlainReader().section(broken, "s")


def test_numbers_among_attributes_are_kept() -> None:
    attributes = {
        "a": 1,
        "b": 0.5,
        "c": [1, 2],
        "training": False,
        "_d": 3,
        "e": "x",
        "f": None,
        "g": float("nan"),
        5: 1,
    }
    assert numbers(attributes.items()) == {"a": 1, "b": 0.5, "c": [1, 2]}
