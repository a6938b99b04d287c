"""Stored tensors: the byte streams that torch wrote before it used zip archives, read by hand.

A storage is five short pickles (a magic number, a format number, facts about the machine, one persistent id, a list of
keys), a count, and the elements. Each of the five may hold plain values only; the one class that is named, torch's
class of the storage, tells the type of the elements.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from errors import InputError
from stylegan_v.official.machine import Name, Record, Vocabulary, rebuild
from stylegan_v.official.opcodes import PLAIN, Limits, Span, shown

_MAGIC = 0x1950A86A20F9469CFC6C
_FORMAT = 1001
_COUNT_BYTES = 8
_LIMITS = Limits(
    allowed=PLAIN - {"STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD"} | {"BINPERSID"},
    operations=100,
    memo=100,
    stack=50,
    marks=5,
    text=100,
    integer=16,
)
_TYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_VOCABULARY = Vocabulary({"torch": frozenset(_TYPES)})
_MAX_AXES = 8
_TOO_MANY = 2**48  # elements, or bytes: more than any file has
_LARGEST_EMPTY = 2**31  # product of the other sizes of a tensor without elements


class Storage(NamedTuple):
    """Elements of one type that still lie in the file."""

    dtype: torch.dtype
    count: int
    data: Span


def read_storage(stream: Span) -> Storage:
    """The storage in a byte string of torch's old format.

    Raises:
        InputError: It is another format, names anything but a class of storages, or its length does not fit.
    """
    where = f"the storage at byte {stream.start}"
    values, position = [], stream.start
    if stream.source[position : position + 4] == b"PK\x03\x04":
        raise InputError(f"{where} is a zip archive: refused, snapshots of StyleGAN-V hold torch's old format")
    for _ in range(5):
        rebuilt = rebuild(stream.source, position, stream.stop, _LIMITS, _VOCABULARY)
        values.append(rebuilt.value)
        position = rebuilt.end
    magic, version, machine, identity, keys = values
    if (magic, version) != (_MAGIC, _FORMAT) or not _is_little_endian(machine):
        raise InputError(f"{where} is not in torch's old little-endian format {_FORMAT}")
    dtype, key, count = _identity(identity, where)
    written = int.from_bytes(stream.source[position : min(position + _COUNT_BYTES, stream.stop)], "little")
    data = Span(stream.source, min(position + _COUNT_BYTES, stream.stop), stream.stop)
    if keys != [key] or written != count or len(data) != count * dtype.itemsize:
        raise InputError(f"{where} announces {count} elements of {dtype}, then {written}, and has {len(data)} bytes")
    return Storage(dtype, count, data)


def _is_little_endian(machine: object) -> bool:
    return isinstance(machine, dict) and machine.get("little_endian") is True


def _identity(identity: object, where: str) -> tuple[torch.dtype, str, int]:
    """Type, key and number of elements out of the persistent id; the device, fourth, does not matter."""
    values = identity.args[0] if isinstance(identity, Record) else None
    if not isinstance(values, tuple) or len(values) != 6:
        raise InputError(f"{where} does not say what it holds")
    word, kind, key, _, count, view = values
    plain = word == "storage" and isinstance(kind, Name) and isinstance(key, str) and view is None
    if not plain or not _is_count(count):
        raise InputError(f"{where} does not say what it holds")
    return _TYPES[kind.name], key, count


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _TOO_MANY


class TensorReader:
    """Tensors out of records of a pickle: what it returns is contiguous, on the CPU, and shares nothing with the file.

    Args:
        budget: Most bytes that it reads; in a file where no two tensors share any, that is its size.
    """

    def __init__(self, budget: int) -> None:
        self.left = budget
        self._storages: dict[Span, Storage] = {}
        self._tensors: dict[Record, Tensor] = {}

    def storage(self, record: Record) -> Storage:
        """What a `_load_from_bytes` record holds."""
        stream = record.args[0] if len(record.args) == 1 else None
        if not isinstance(stream, Span):
            raise InputError("a storage is not made of bytes: the file is damaged")
        if stream not in self._storages:
            self._storages[stream] = read_storage(stream)
        return self._storages[stream]

    def tensor(self, value: object, name: str) -> Tensor:
        """The tensor of a parameter's or a tensor's record.

        Args:
            value: The record.
            name: What messages call it.
        """
        record = value
        if isinstance(record, Record) and record.kind == "_rebuild_parameter" and record.args:
            record = record.args[0]
        if not isinstance(record, Record) or record.kind != "_rebuild_tensor_v2":
            raise InputError(f"{shown(name)} is not a tensor: the file is damaged")
        if record not in self._tensors:
            self._tensors[record] = self._read(record, shown(name))
        return self._tensors[record]

    def _read(self, record: Record, name: str) -> Tensor:
        storage, offset, size, stride = self._layout(record, name)
        numel = math.prod(size)
        if numel == 0:
            return torch.empty(size, dtype=storage.dtype)
        reach = 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if offset + reach > storage.count or numel > storage.count:
            raise InputError(
                f"{name}: size {size}, stride {stride}, offset {offset} leave its {storage.count} elements"
            )
        self.left -= max(reach, numel) * storage.dtype.itemsize  # what is read, and what is made of it
        if self.left < 0:
            raise InputError(f"{name}: the tensors are together larger than the file: refused")
        view = torch.as_strided(_elements(storage, offset, reach), size, stride)
        return torch.empty(size, dtype=storage.dtype).copy_(view)

    def _layout(self, record: Record, name: str) -> tuple[Storage, int, tuple[int, ...], tuple[int, ...]]:
        if len(record.args) < 4 or not isinstance(record.args[0], Record):
            raise InputError(f"{name}: a tensor without a storage: the file is damaged")
        stored, offset, size, stride = record.args[:4]
        if stored.kind != "_load_from_bytes":
            raise InputError(f"{name}: a tensor without a storage: the file is damaged")
        axes = isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride) <= _MAX_AXES
        if not axes or not all(map(_is_count, (offset, *size, *stride))):
            raise InputError(f"{name}: its offset, size or stride is no list of at most {_MAX_AXES} counts")
        if math.prod(max(n, 1) for n in size) > max(self.storage(stored).count, _LARGEST_EMPTY):
            raise InputError(f"{name}: size {shown(size)} leaves its {self.storage(stored).count} elements")
        return self.storage(stored), offset, size, stride


def _elements(storage: Storage, offset: int, count: int) -> Tensor:
    """A copy of some elements of a storage, in one row."""
    width = storage.dtype.itemsize
    first = storage.data.start + offset * width
    raw = bytearray(memoryview(storage.data.source)[first : first + count * width])
    storage.data.forget()
    if storage.dtype is torch.bool:
        return torch.frombuffer(raw, dtype=torch.uint8).ne(0)  # a byte other than 0 and 1 is no bool to torch
    return torch.frombuffer(raw, dtype=storage.dtype)


def stored_number(value: Any, reader: TensorReader, name: str) -> float:
    """A number, stored as such or as a tensor of one element."""
    if isinstance(value, Record):
        tensor = reader.tensor(value, name)
        value = tensor.item() if tensor.numel() == 1 else None
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{shown(name)} is not a finite number: the file is damaged")
    return value
