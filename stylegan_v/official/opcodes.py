"""The operations of a pickle, checked one by one: which there are, how long they say they are, how high they stack.

Widths and stack effects come from the table of `pickletools`. What that module's own iterator would decode first and
let us judge afterwards (a number of a million digits, a string of 2**60 bytes) is judged here before it is read, and
byte strings are not copied.
"""

from __future__ import annotations

import mmap
import pickletools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, no_type_check

from errors import InputError

Source: TypeAlias = "bytes | mmap.mmap"

# What the snapshots of StyleGAN-V are made of, in the binary protocols 2 to 5. Everything else is refused by name: text
# operations, extension codes, INST, OBJ and NEWOBJ_EX, persistent ids, buffers out of band.
PLAIN = frozenset(
    (
        *("PROTO", "FRAME", "STOP", "MARK"),
        *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
        *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND", "APPENDS"),
        *("EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_SET", "ADDITEMS"),
        *("BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET"),
        *("GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD"),
    )
)

_PROTOCOLS = range(2, 6)
_LONGEST_NAME = 200  # bytes of a module or class name
_LENGTH_BYTES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_TABLE = {ord(code): info for code, info in pickletools.code2op.items()}


@dataclass(frozen=True)
class Limits:
    """What a stream may contain.

    Attributes:
        allowed: Names of operations.
        operations: How many there may be.
        memo: Numbers of remembered values stay below this.
        stack: Most values that may wait at once.
        marks: Most groups that may be open at once.
        text: Longest text that is read, in bytes; a longer one stays a `Span`.
        integer: Longest whole number, in bytes.
    """

    allowed: frozenset[str]
    operations: int
    memo: int
    stack: int
    marks: int
    text: int
    integer: int


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Span:
    """Bytes that stay where they are, in the file.

    Attributes:
        source: The whole file.
        start: Position of the first byte in it.
        stop: Position after the last byte.
    """

    source: Source
    start: int
    stop: int

    def __repr__(self) -> str:
        return "a byte string"

    def __len__(self) -> int:
        return self.stop - self.start

    def read(self) -> bytes:
        return self.source[self.start : self.stop]

    def forget(self) -> None:
        """Gives back the memory in which pages of the file lie, where the system can; they can be read again."""
        first = -(-self.start // mmap.PAGESIZE) * mmap.PAGESIZE
        length = (self.stop - first) // mmap.PAGESIZE * mmap.PAGESIZE
        if isinstance(self.source, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") and length > 0:
            self.source.madvise(mmap.MADV_DONTNEED, first, length)


Argument: TypeAlias = "int | float | str | Span | tuple[str, str] | None"


class Operation(NamedTuple):
    """One step of a pickle: its name in `pickletools`, its argument, and where it stands in the file."""

    name: str
    argument: Argument
    position: int
    end: int


def shown(text: object) -> str:
    """Text, a number or a record from a file as it may stand in a message: printable ASCII, at most 80 characters."""
    line = ascii(str(text)[:200])[1:-1]
    return line if len(line) <= 80 else f"{line[:77]}..."


def operations(source: Source, start: int, stop: int, limits: Limits) -> Iterator[Operation]:
    """The operations of one pickle up to its STOP, each checked before it is handed out.

    Args:
        source: The whole file.
        start: Where the pickle begins.
        stop: Where it must have ended.
        limits: What it may contain.

    Raises:
        InputError: With the position of the first operation that is not allowed, too large, cut off or without
            the values that it needs.
    """
    scanner, stack = _Scanner(source, stop, limits), _Stack(limits)
    position = start
    for _ in range(limits.operations):
        operation = scanner.operation(position)
        if (operation.name == "PROTO") != (position == start):
            raise InputError(f"{operation.name} at byte {position}: a pickle begins with PROTO, and has one of it")
        stack.follow(operation)
        yield operation
        if operation.name == "STOP":
            return
        position = operation.end
    raise InputError(f"more than {limits.operations} operations by byte {position}: too large for a snapshot")


@no_type_check  # at every operation: types checked at run time, as in the tests, would take most of the time
class _Scanner:
    """Takes single operations out of the bytes of a pickle, after a look at how long they say they are."""

    def __init__(self, source: Source, stop: int, limits: Limits) -> None:
        self.source = source
        self.stop = stop
        self.limits = limits

    def operation(self, position: int) -> Operation:
        self._announce(position, 1)
        info = _TABLE.get(self.source[position])
        if info is None:
            raise InputError(f"byte {position} is no pickle operation: the file is damaged")
        name, start = info.name, position + 1
        if name not in self.limits.allowed:
            raise InputError(f"{name} at byte {position}: refused, snapshots of StyleGAN-V do not use this operation")
        if info.arg is None:
            return Operation(name, None, position, start)
        if name == "GLOBAL":
            return self._global(position)
        if info.arg.n > 0:
            self._announce(position, 1 + info.arg.n)
            return Operation(name, self._number(name, position, info.arg.n), position, start + info.arg.n)
        width = _LENGTH_BYTES[info.arg.n]
        self._announce(position, 1 + width)
        length = int.from_bytes(self.source[start : start + width], "little")
        self._announce(position, 1 + width + length)
        span = Span(self.source, start + width, start + width + length)
        return Operation(name, self._payload(name, span, position), position, span.stop)

    def _announce(self, position: int, length: int) -> None:
        if length > self.stop - position:
            raise InputError(f"cut off at byte {position}: {length} bytes announced, {self.stop - position} left")

    def _global(self, position: int) -> Operation:
        """Module and name, two lines of text."""
        parts, at = [], position + 1
        for _ in range(2):
            line, newline, _rest = self.source[at : min(at + _LONGEST_NAME, self.stop)].partition(b"\n")
            if not newline:
                raise InputError(f"GLOBAL at byte {position}: its name is cut off or longer than {_LONGEST_NAME} bytes")
            parts.append(_decoded(line, position))
            at += len(line) + 1
        return Operation("GLOBAL", (parts[0], parts[1]), position, at)

    def _number(self, name: str, position: int, width: int) -> int | float:
        raw = self.source[position + 1 : position + 1 + width]
        if name == "BINFLOAT":
            return struct.unpack(">d", raw)[0]
        value = int.from_bytes(raw, "little", signed=name == "BININT")
        if name == "FRAME":
            self._announce(position, 1 + width + value)
        if name == "PROTO" and value not in _PROTOCOLS:
            raise InputError(f"PROTO at byte {position}: protocol {value}; 2 to 5 are known")
        return value

    def _payload(self, name: str, span: Span, position: int) -> int | str | Span:
        if name == "LONG1":
            most = self.limits.integer
            if len(span) > most:
                raise InputError(f"LONG1 at byte {position}: a number of {len(span)} bytes, at most {most}")
            return int.from_bytes(span.read(), "little", signed=True)
        if "UNICODE" in name and len(span) <= self.limits.text:
            return _decoded(span.read(), position)
        return span


def _decoded(raw: bytes, position: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"text at byte {position} is not UTF-8: the file is damaged") from error


@no_type_check
class _Stack:
    """How many values wait on the stack, below and above each mark; never what they are."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.below: list[int] = []  # how many waited in each group when a newer one was opened
        self.waiting = 0
        self.total = 0
        self.memo = 0

    def follow(self, operation: Operation) -> None:
        name, position = operation.name, operation.position
        if name == "MARK":
            self._open(position)
        elif name in _TO_MARK:
            self._close(operation)
        else:
            needed, left = _EFFECT[name]
            self._need(needed, operation)
            self.waiting += left - needed
            self.total += left - needed
        if name in _REMEMBERS:
            self._remember(operation)
        if self.total > self.limits.stack:
            raise InputError(f"{name} at byte {position}: more than {self.limits.stack} values wait at once")
        if name == "STOP" and (self.below or self.waiting):
            raise InputError(f"STOP at byte {position}: values are left over, the file is damaged")

    def _open(self, position: int) -> None:
        self.below.append(self.waiting)
        self.waiting = 0
        if len(self.below) > self.limits.marks:
            raise InputError(f"MARK at byte {position}: nested deeper than {self.limits.marks}")

    def _close(self, operation: Operation) -> None:
        if not self.below:
            raise InputError(f"{operation.name} at byte {operation.position}: without a MARK, the file is damaged")
        self.total -= self.waiting
        self.waiting = self.below.pop()
        self._need(_TO_MARK[operation.name], operation)
        made = 1 - _TO_MARK[operation.name]
        self.waiting += made
        self.total += made

    def _need(self, count: int, operation: Operation) -> None:
        if self.waiting < count:
            raise InputError(f"{operation.name} at byte {operation.position}: no value for it, the file is damaged")

    def _remember(self, operation: Operation) -> None:
        self._need(1, operation)
        index = self.memo if operation.name == "MEMOIZE" else operation.argument
        self.memo += 1
        if not isinstance(index, int) or index >= self.limits.memo:
            raise InputError(f"{operation.name} at byte {operation.position}: memo {index}, at most {self.limits.memo}")


_REMEMBERS = frozenset({"BINPUT", "LONG_BINPUT", "MEMOIZE"})
# What an operation takes off the stack and leaves there; for those that reach down to a mark, what it takes below it.
_EFFECT = {
    info.name: (len(info.stack_before), len(info.stack_after))
    for info in pickletools.opcodes
    if pickletools.markobject not in (*info.stack_before, *info.stack_after)
}
_TO_MARK = {
    info.name: info.stack_before.index(pickletools.markobject)
    for info in pickletools.opcodes
    if pickletools.markobject in info.stack_before and info.name in PLAIN
}
