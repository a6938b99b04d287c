"""The file of a coded field: a header of plain values, then its parts one after the other.

    bytes 0-7     ``MAGIC``
    bytes 8-11    length of the header, little endian
    bytes 12-43   SHA-256 of the length and the header
    then          the header, JSON, deflated (RFC 1951)
    then          the parts, as the header lists them: name of a tensor, number of the piece, form, bytes, CRC-32

Everything is checked before anything is used, and nothing in a file is executed. The sums find damage; they are no
signature, so that whoever reads the parts trusts none of them.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets.files import parse_json
from errors import InputError
from plain_config import is_bounded

MAGIC = b"\x8fFIELD\r\n"  # beginning with no character, with a line end that careless programs change
VERSION = 2  # the header of version 1 was not deflated
MAX_HEADER = 4_000_000  # bytes, inflated
_PREFIX = len(MAGIC) + 4 + 32
_RAW = -15  # deflate with neither prefix nor sum of its own, as zlib numbers it
_MAX_VALUES = 400_000
_OTHER_VERSION = f"of another version than {VERSION} of this format: read it with the program it is from"
_REMEDY = "give a file that python -m fields.codec encode wrote, or write it again"


@dataclass(frozen=True)
class Part:
    """A piece of a tensor, coded.

    Attributes:
        name: Of the tensor.
        number: Of the piece, from 0.
        form: How it is coded.
        data: Its bytes.
    """

    name: str
    number: int
    form: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        node: ``{class_path, init_args}`` of the field.
        facts: What is known of how it was made, plain values.
        group: Slices of a volume in one piece.
        parts: Of its tensors.
    """

    node: dict[str, Any]
    facts: dict[str, Any]
    group: int
    parts: tuple[Part, ...]


def to_bytes(contents: Contents) -> bytes:
    """The file.

    Raises:
        InputError: Its header would be too long.
    """
    table = [[part.name, part.number, part.form, len(part.data), zlib.crc32(part.data)] for part in contents.parts]
    known = {"version": VERSION, "node": contents.node, "facts": contents.facts, "group": contents.group}
    try:
        header = json.dumps({**known, "parts": table}, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:  # YAML and JSON may have told of dates, or of numbers that are none
        raise InputError(f"the config or what is known of the field is no plain value ({error}): mend it") from error
    if len(header) > MAX_HEADER or not is_bounded(json.loads(header), _MAX_VALUES):
        raise InputError(f"the header of {len(contents.parts)} parts is too long: take larger groups of slices")
    deflated = zlib.compress(header, 9, _RAW)
    length = len(deflated).to_bytes(4, "little")
    digest = hashlib.sha256(length + deflated).digest()
    return b"".join([MAGIC, length, digest, deflated, *(part.data for part in contents.parts)])


def from_bytes(data: bytes, path: Path) -> Contents:
    """What a file holds, all sums checked.

    Args:
        data: The file.
        path: Where it lies, for messages.

    Raises:
        InputError: It is no such file, damaged, cut off or too long.
    """
    header = _header(data, path)
    node, facts, group, table = (header.get(key) for key in ("node", "facts", "group", "parts"))
    plain = isinstance(node, dict) and isinstance(facts, dict) and isinstance(table, list)
    if not plain or type(group) is not int or group < 1:
        raise InputError(f"{path}: its header is not that of a coded field: {_REMEDY}")
    if not all(map(_is_entry, table)):
        raise InputError(f"{path}: its table of parts is not one: {_REMEDY}")
    begin = _PREFIX + int.from_bytes(data[len(MAGIC) : len(MAGIC) + 4], "little")
    end = begin + sum(entry[3] for entry in table)
    if end != len(data):
        raise InputError(f"{path}: cut off or too long, {len(data)} bytes instead of {end}: {_REMEDY}")
    return Contents(node, _plain(facts, path), group, tuple(_parts(data, begin, table, path)))


def overhead(data: bytes) -> int:
    """Bytes of a file that are no parts."""
    return _PREFIX + int.from_bytes(data[len(MAGIC) : len(MAGIC) + 4], "little")


def _header(data: bytes, path: Path) -> Mapping[str, Any]:
    if not data.startswith(MAGIC):
        raise InputError(f"{path}: not a coded field: {_REMEDY}")
    length = data[len(MAGIC) : len(MAGIC) + 4]
    size = int.from_bytes(length, "little")
    if size > MAX_HEADER or _PREFIX + size > len(data):
        raise InputError(f"{path}: damaged or cut off within its header: {_REMEDY}")
    deflated = data[_PREFIX : _PREFIX + size]
    if hashlib.sha256(length + deflated).digest() != data[len(MAGIC) + 4 : _PREFIX]:
        raise InputError(f"{path}: damaged, its header does not have its checksum: {_REMEDY}")
    header = parse_json(_inflated(deflated, path), path)
    if not isinstance(header, dict) or not is_bounded(header, _MAX_VALUES):
        raise InputError(f"{path}: its header is not that of a coded field: {_REMEDY}")
    if header.get("version") != VERSION:
        raise InputError(f"{path}: {_OTHER_VERSION}")
    return header


def _inflated(deflated: bytes, path: Path) -> bytes:
    inflater = zlib.decompressobj(_RAW)
    try:
        text = inflater.decompress(deflated, MAX_HEADER + 1)
    except zlib.error as error:
        raise InputError(f"{path}: {_OTHER_VERSION}") from error
    if len(text) > MAX_HEADER:
        raise InputError(f"{path}: its header is too long to be that of a coded field: {_REMEDY}")
    if not inflater.eof or inflater.unused_data:
        raise InputError(f"{path}: {_OTHER_VERSION}")
    return text


def _parts(data: bytes, begin: int, table: Sequence[Sequence[Any]], path: Path) -> list[Part]:
    parts = []
    for name, number, form, size, crc in table:
        piece = data[begin : begin + size]
        if zlib.crc32(piece) != crc:
            what = ascii(name[:80]) if name else "what all frames share"
            raise InputError(f"{path}: damaged, {what} does not have its checksum: {_REMEDY}")
        parts.append(Part(name, number, form, piece))
        begin += size
    return parts


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, list) or [type(value) for value in entry] != [str, int, str, int, int]:
        return False
    return entry[1] >= 0 and entry[3] >= 0


def _plain(facts: Mapping[str, Any], path: Path) -> dict[str, Any]:
    if not all(isinstance(value, (str, int, float)) for value in facts.values()):
        raise InputError(f"{path}: its facts are no plain values: {_REMEDY}")
    return dict(facts)
