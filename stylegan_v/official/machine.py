"""The values of a pickle, rebuilt without calling or importing anything: containers, plain values and inert records.

A name that the pickle looks up becomes a `Name`, two words of text; a call, a new object or a state becomes an entry in
a `Record`. So there is nothing callable in the result, whatever the file says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from errors import InputError
from stylegan_v.official.opcodes import Limits, Operation, Source, operations, shown

_LARGEST_KEY = 2**31


@dataclass(frozen=True, eq=False, slots=True)
class Name:
    """A class or function that the pickle names; only ever these two words."""

    module: str
    name: str


@dataclass(eq=False, slots=True)
class Record:
    """An object of the pickle, taken apart; equal only to itself.

    Attributes:
        kind: The name of its class, or of the function that would have made it.
        args: What that would have been called with.
        state: The attributes set afterwards, a dict for most.
        items: What was stored in it as in a dict, in order.
    """

    kind: str
    args: tuple[Any, ...]
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Vocabulary:
    """What a stream may name.

    Attributes:
        names: Module to the names that may be looked up in it; refused are all others.
        made: Those of which the pickle may make objects.
        mappings: Those of these in which it may store items.
    """

    names: Mapping[str, frozenset[str]]
    made: frozenset[str] = frozenset()
    mappings: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rebuilt:
    """A value out of a pickle, every record in it in the order of the file, and where the pickle ended."""

    value: Any
    records: tuple[Record, ...]
    end: int


def rebuild(source: Source, start: int, stop: int, limits: Limits, vocabulary: Vocabulary) -> Rebuilt:
    """The value of a pickle.

    All operations are checked before the first value is built.

    Args:
        source: The whole file.
        start: Where the pickle begins.
        stop: Where it must have ended.
        limits: What it may contain.
        vocabulary: What it may name.

    Raises:
        InputError: An operation or a name is refused, or a value does not fit where it is used.
    """
    for _ in operations(source, start, stop, limits):
        pass  # all are looked at before any is followed
    machine = _Machine(vocabulary)
    end = start
    for operation in operations(source, start, stop, limits):
        _STEPS[operation.name](machine, operation)
        end = operation.end
    return Rebuilt(machine.stack[-1], tuple(machine.records), end)


class _Machine:
    """The stack, memo and open groups of a pickle being followed; that values are there was checked before."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.records: list[Record] = []

    def take(self, count: int) -> list[Any]:
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def take_group(self) -> list[Any]:
        group, self.stack = self.stack, self.below.pop()
        return group

    def add_record(self, kind: str, args: tuple[Any, ...]) -> None:
        self.records.append(Record(kind, args))
        self.stack.append(self.records[-1])


_Step: TypeAlias = Callable[[_Machine, Operation], None]


def _nothing(machine: _Machine, operation: Operation) -> None:
    """PROTO, FRAME and STOP say nothing about the value."""


def _argument(machine: _Machine, operation: Operation) -> None:
    machine.stack.append(operation.argument)


def _constant(value: bool | None) -> _Step:
    return lambda machine, operation: machine.stack.append(value)


def _empty(kind: Callable[[], Any]) -> _Step:
    return lambda machine, operation: machine.stack.append(kind())


def _short_tuple(count: int) -> _Step:
    return lambda machine, operation: machine.stack.append(tuple(machine.take(count)))


def _mark(machine: _Machine, operation: Operation) -> None:
    machine.below.append(machine.stack)
    machine.stack = []


def _long_tuple(machine: _Machine, operation: Operation) -> None:
    group = machine.take_group()
    machine.stack.append(tuple(group))


def _extend(machine: _Machine, operation: Operation, values: list[Any]) -> None:
    target = machine.stack[-1]
    if not isinstance(target, list):
        raise _misused(operation, target)
    target.extend(values)


def _store(machine: _Machine, operation: Operation, flat: list[Any]) -> None:
    """Items into a dict or into a record of a kind of dict; ``flat`` is key, value, key, value, ..."""
    target = machine.stack[-1]
    items = target.items if _is_mapping(target, machine.vocabulary) else target
    if not isinstance(items, dict) or len(flat) % 2:
        raise _misused(operation, target)
    for key, value in zip(flat[::2], flat[1::2], strict=True):
        if not isinstance(key, Record):
            _check_key(key, operation)
        items[key] = value


def _is_mapping(target: object, vocabulary: Vocabulary) -> bool:
    return isinstance(target, Record) and target.kind in vocabulary.mappings


def _add(machine: _Machine, operation: Operation) -> None:
    values = machine.take_group()
    target = machine.stack[-1]
    if not isinstance(target, set):
        raise _misused(operation, target)
    for value in values:
        _check_key(value, operation)
    target.update(values)


def _check_key(key: object, operation: Operation) -> None:
    """Only text and small numbers: their hashes cannot be made to collide."""
    if not isinstance(key, str) and not (isinstance(key, int) and abs(key) < _LARGEST_KEY):
        raise InputError(f"{operation.name} at byte {operation.position}: a {type(key).__name__} as a key")


def _put(machine: _Machine, operation: Operation) -> None:
    index = len(machine.memo) if operation.name == "MEMOIZE" else operation.argument
    machine.memo[index] = machine.stack[-1]


def _get(machine: _Machine, operation: Operation) -> None:
    if operation.argument not in machine.memo:
        raise InputError(f"{operation.name} at byte {operation.position}: nothing is remembered as that number")
    machine.stack.append(machine.memo[operation.argument])


def _look_up(machine: _Machine, operation: Operation) -> None:
    module, name = machine.take(2) if operation.name == "STACK_GLOBAL" else operation.argument
    if not isinstance(module, str) or not isinstance(name, str):
        raise InputError(f"STACK_GLOBAL at byte {operation.position}: a name that is not text")
    if name not in machine.vocabulary.names.get(module, ()):
        where = f"{shown(module)}.{shown(name)} at byte {operation.position}"
        raise InputError(f"{where}: refused, snapshots of StyleGAN-V do not use this name")
    machine.stack.append(Name(module, name))


def _make(machine: _Machine, operation: Operation) -> None:
    """REDUCE and NEWOBJ: instead of the call, a record of it."""
    name, args = machine.take(2)
    if not isinstance(name, Name) or not isinstance(args, tuple):
        raise _misused(operation, name)
    if name.name not in machine.vocabulary.made:
        raise InputError(
            f"{operation.name} of {name.module}.{name.name} at byte {operation.position}: refused, "
            "snapshots only mention this name"
        )
    machine.add_record(name.name, args)


def _set_state(machine: _Machine, operation: Operation) -> None:
    state = machine.take(1)[0]
    target = machine.stack[-1]
    if not isinstance(target, Record) or not isinstance(state, dict | tuple) or target.state is not None:
        raise _misused(operation, target)
    target.state = state


def _persistent(machine: _Machine, operation: Operation) -> None:
    machine.add_record("persistent id", (machine.take(1)[0],))


def _misused(operation: Operation, target: object) -> InputError:
    what = f"{target.module}.{target.name}" if isinstance(target, Name) else f"a {type(target).__name__}"
    return InputError(f"{operation.name} at byte {operation.position}: refused, it does not apply to {what}")


_STEPS: dict[str, _Step] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), _nothing),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), _argument),
    **dict.fromkeys(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _argument),
    **dict.fromkeys(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"), _argument),
    **{"NONE": _constant(None), "NEWTRUE": _constant(True), "NEWFALSE": _constant(False)},
    **{"EMPTY_TUPLE": _empty(tuple), "EMPTY_LIST": _empty(list), "EMPTY_DICT": _empty(dict), "EMPTY_SET": _empty(set)},
    **{"TUPLE1": _short_tuple(1), "TUPLE2": _short_tuple(2), "TUPLE3": _short_tuple(3)},
    **{"MARK": _mark, "TUPLE": _long_tuple},
    "APPEND": lambda machine, operation: _extend(machine, operation, machine.take(1)),
    "APPENDS": lambda machine, operation: _extend(machine, operation, machine.take_group()),
    "SETITEM": lambda machine, operation: _store(machine, operation, machine.take(2)),
    "SETITEMS": lambda machine, operation: _store(machine, operation, machine.take_group()),
    "ADDITEMS": _add,
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), _put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _get),
    **dict.fromkeys(("GLOBAL", "STACK_GLOBAL"), _look_up),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _make),
    "BUILD": _set_state,
    "BINPERSID": _persistent,
}
