"""TorchScript archives, taken apart and judged before torch reads them, then packed anew from what was judged.

An archive is a zip of a program (`code/`), two pickles that say which objects there are (`data.pkl`, `constants.pkl`),
and the elements of tensors (`data/`, `constants/`). Torch 2.13 believes a pickle that announces more elements than are
stored, and would read whatever lies behind them in memory; here that is looked at. What torch does not need in order to
run the program (notes for error messages, extra files) stays behind.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from errors import InputError
from stylegan_v.metrics.detectors.torchscript_code import MAX_CHARACTERS, checked_code
from stylegan_v.official.machine import Name, Record, Vocabulary, rebuild
from stylegan_v.official.opcodes import PLAIN, Limits, shown

MAX_BYTES = 2**30
MAX_ENTRIES = 20_000
_MAX_DIRECTORY = 2**23
_MAX_CODE = 8 * MAX_CHARACTERS
_MAX_PICKLE = 2**24
_MAX_NAME = 300
_MAX_AXES = 8
_LIMITS = Limits(
    allowed=PLAIN - {"STACK_GLOBAL", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "MEMOIZE"} | {"BINPERSID"},
    operations=4_000_000,
    memo=1_000_000,
    stack=1_000_000,
    marks=200,
    text=10_000,
    integer=16,
)
_ITEM_BYTES = {
    **dict.fromkeys(("ByteStorage", "CharStorage", "BoolStorage"), 1),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
    **dict.fromkeys(("FloatStorage", "IntStorage"), 4),
    **dict.fromkeys(("DoubleStorage", "LongStorage"), 8),
}
_MAKERS = {
    "torch._utils": frozenset({"_rebuild_tensor_v2"}),
    "collections": frozenset({"OrderedDict"}),
    "torch": frozenset({*_ITEM_BYTES, "device"}),
    "torch.jit._pickle": frozenset(
        {"build_intlist", "build_tensorlist", "build_doublelist", "build_boollist", "restore_type_tag"}
    ),
}
_VERSIONS = (".data/version", "version")  # in newer programs and in older ones
_PROGRAM = "__torch__"
_COMPILED = "__torch__.torch.classes"


class _Anything(frozenset[str]):
    """What may be made: whatever has passed `_Words.check`, but no object of a class of storages."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and not name.endswith("Storage")


@dataclass(frozen=True)
class _Words(Vocabulary):
    """What a pickle of an archive may name: tensors, lists, and classes that the archive's program defines."""

    def check(self, module: str, name: str, position: int) -> None:
        ours = module == _PROGRAM or module.startswith(_PROGRAM + ".")
        if ours and not f"{module}.{name}".startswith(_COMPILED):
            if name in ("_rebuild_tensor_v2", "persistent id"):
                raise InputError(f"{name} at byte {position}: a class of this name")
            return
        super().check(module, name, position)


_WORDS = _Words(_MAKERS, made=_Anything())


def checked_archive(path: Path) -> io.BytesIO:
    """The archive in ``path``, judged and packed anew, in memory.

    Args:
        path: A file of anyone's.

    Raises:
        InputError: It is no such archive, damaged, too large, or holds what a feature network does not need.
    """
    with open(path, "rb") as file:
        _check_kind(path, file)
        try:
            with zipfile.ZipFile(file) as archive:
                parts = _Parts(path, archive)
                return _packed(dict(parts.judged()))
        except InputError as error:
            if str(error).startswith(f"{path}: "):
                raise
            raise InputError(f"{path}: {error}") from error
        except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise InputError(f"{path}: a damaged archive ({error}): get the file again") from error
        except (ValueError, OverflowError, UnicodeError) as error:
            raise InputError(f"{path}: a damaged archive: get the file again") from error


def _check_kind(path: Path, file: BinaryIO) -> None:
    """Says what a file is instead of an archive; bounds its table of contents before zipfile reads it whole."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(4)
    if head[:1] == b"\x80":
        raise InputError(
            f"{path}: a Python pickle, which could run anything and is not read: give a TorchScript archive"
        )
    if head != b"PK\x03\x04":
        raise InputError(f"{path}: no TorchScript archive: give the .pt file of the table of detectors")
    if size > MAX_BYTES:
        raise InputError(f"{path}: {size} bytes, at most {MAX_BYTES} are read: give the file of a feature network")
    file.seek(max(size - 22, 0))
    end = file.read(22)
    if len(end) < 22 or end[:4] != b"PK\x05\x06":
        raise InputError(f"{path}: a damaged archive, it is cut off: get the file again")
    length = int.from_bytes(end[12:16], "little")
    if length == 0xFFFFFFFF and size >= 98:  # zip64: its record lies before the locator, which lies before the end
        file.seek(size - 98)
        record = file.read(56)
        length = int.from_bytes(record[40:48], "little") if record[:4] == b"PK\x06\x06" else length
    if length > _MAX_DIRECTORY:
        raise InputError(f"{path}: a table of contents of {length} bytes, at most {_MAX_DIRECTORY} are read")
    file.seek(0)


class _Parts:
    """The entries of an archive, by their names without the folder that holds them all."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self.archive = archive
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(entries) > MAX_ENTRIES:
            raise InputError(f"{path}: {len(entries)} entries, at most {MAX_ENTRIES} are read")
        if sum(entry.file_size for entry in entries) > MAX_BYTES:
            raise InputError(f"{path}: unpacks to more than {MAX_BYTES} bytes: refused")
        self.entries = {self._inner(entry, entries[0]): entry for entry in entries}
        if len({name.lower() for name in self.entries}) != len(entries):
            raise InputError(f"{path}: has two entries of one name: refused")
        if "data.pkl" not in self.entries or not any(name.startswith("code/") for name in self.entries):
            raise InputError(f"{path}: holds no TorchScript program: give the .pt file of the table of detectors")

    def _inner(self, entry: zipfile.ZipInfo, first: zipfile.ZipInfo) -> str:
        """The name of an entry below the archive's one folder."""
        name = entry.orig_filename
        folder, _, inner = name.partition("/")
        words = inner.split("/")
        plain = len(name) <= _MAX_NAME and name.isascii() and name.isprintable() and "\\" not in name
        if not plain or not folder or any(word in ("", ".", "..") for word in words):
            raise InputError(f"{self.path}: an entry is named {shown(name)}: refused")
        if folder != first.orig_filename.partition("/")[0]:
            raise InputError(f"{self.path}: its entries lie in more than one folder: no TorchScript archive")
        return inner

    def read(self, name: str, most: int) -> bytes:
        """The bytes of an entry, of which no more are unpacked than it announces."""
        entry = self.entries[name]
        if entry.file_size > most:
            raise InputError(f"{name} has {entry.file_size} bytes, at most {most} are read")
        return self.archive.read(entry)

    def judged(self) -> Iterator[tuple[str, bytes]]:
        """What torch needs of the archive, each entry after it has been judged."""
        yield from self._facts()
        yield from self._code()
        for pickle, folder in (("data.pkl", "data"), ("constants.pkl", "constants")):
            if pickle in self.entries:
                raw = self.read(pickle, _MAX_PICKLE)
                elements = {name: entry for name, entry in self.entries.items() if name.startswith(folder + "/")}
                _check_pickle(raw, pickle, {name[len(folder) + 1 :]: e.file_size for name, e in elements.items()})
                yield pickle, raw
                yield from self._elements(elements)

    def _facts(self) -> Iterator[tuple[str, bytes]]:
        """Version of the format and order of bytes."""
        name = next((name for name in _VERSIONS if name in self.entries), None)
        version = b"" if name is None else self.read(name, 20)
        if name is None or not version.strip().isdigit():
            raise InputError("does not say which version of the format it has")
        yield name, version
        if "byteorder" in self.entries:
            if self.read("byteorder", 20) != b"little":
                raise InputError("was not written on a little-endian machine")
            yield "byteorder", b"little"

    def _code(self) -> Iterator[tuple[str, bytes]]:
        total = 0
        for name in self.entries:
            if name.startswith("code/") and name.endswith(".py"):
                raw = self.read(name, MAX_CHARACTERS)
                total += len(raw)
                if total > _MAX_CODE:
                    raise InputError(f"its program has more than {_MAX_CODE} characters")
                if not raw.isascii():
                    raise InputError(f"{name} is not plain ASCII text")
                yield name, checked_code(raw.decode("ascii"), name).encode("ascii")

    def _elements(self, entries: Mapping[str, zipfile.ZipInfo]) -> Iterator[tuple[str, bytes]]:
        for name, entry in entries.items():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise InputError(f"{name} is compressed, which TorchScript does not do to tensors: refused")
            yield name, self.read(name, MAX_BYTES)


def _check_pickle(raw: bytes, name: str, sizes: Mapping[str, int]) -> None:
    """Refuses a pickle of other things than plain values, objects of the program and tensors inside their elements.

    Args:
        raw: The pickle.
        name: For messages.
        sizes: Bytes of elements, by the keys that tensors have for them.
    """
    try:
        records = rebuild(raw, 0, len(raw), _LIMITS, _WORDS).records
    except InputError as error:
        raise InputError(f"{name}: {str(error).partition(':')[0]} is refused: it has no place in an archive") from error
    for record in records:
        if record.kind == "persistent id":
            _count(record, name, sizes)
        if record.kind == "_rebuild_tensor_v2":
            _check_tensor(record, name, sizes)


def _count(record: Any, name: str, sizes: Mapping[str, int]) -> int:
    """How many elements a storage has."""
    values = record.args[0] if isinstance(record, Record) and record.kind == "persistent id" else None
    if not isinstance(values, tuple) or len(values) != 5:
        raise InputError(f"{name}: a tensor without elements: refused")
    word, kind, key, _, count = values
    width = _ITEM_BYTES.get(kind.name) if isinstance(kind, Name) and kind.module == "torch" else None
    if word != "storage" or width is None or not isinstance(key, str) or not _is_count(count):
        raise InputError(f"{name}: elements of an unknown kind: refused")
    if sizes.get(key, 0) != count * width:
        raise InputError(f"{name}: {count} elements announced as {shown(key)}, and {sizes.get(key, 0)} bytes stored")
    return count


def _check_tensor(record: Record, name: str, sizes: Mapping[str, int]) -> None:
    if len(record.args) != 6:
        raise InputError(f"{name}: a tensor of an unknown form: refused")
    storage, offset, size, stride = record.args[:4]
    axes = isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride) <= _MAX_AXES
    if not axes or not all(map(_is_count, (offset, *size, *stride))):
        raise InputError(f"{name}: a tensor whose offset, size or stride is no list of counts: refused")
    reach = 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if math.prod(size) else 0
    if offset + reach > _count(storage, name, sizes):
        raise InputError(f"{name}: a tensor of size {size} reaches out of its elements: refused")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_BYTES


def _packed(parts: Mapping[str, bytes]) -> io.BytesIO:
    """An archive of these parts."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, raw in parts.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), raw)
    packed.seek(0)
    return packed
