"""The values of a pickle, rebuilt without calling or importing anything: containers, plain values and inert records.

A name that the pickle looks up becomes a `Name`, two words of text; a call, a new object or a state becomes an entry in
a `Record`. So there is nothing callable in the result, whatever the file says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, no_type_check

from errors import InputError
from stylegan_v.official.opcodes import Limits, Operation, Source, Span, operations, shown

_LARGEST_KEY = 2**31


@dataclass(frozen=True, eq=False, slots=True)
class Name:
    """A class or function that the pickle names; only ever these two words."""

    module: str
    name: str


@dataclass(eq=False, slots=True, repr=False)
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

    def __repr__(self) -> str:
        return f"an object of {self.kind}"  # what it holds may be a circle, or unfold without end


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

    def check(self, module: str, name: str, position: int) -> None:
        """Refuses a name that is not among these, and says where it stands."""
        if name not in self.names.get(module, ()):
            where = f"{shown(module)}.{shown(name)} at byte {position}"
            raise InputError(f"{where}: refused, snapshots of StyleGAN-V do not use this name there")


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
    for operation in operations(source, start, stop, limits):  # all are looked at before any is followed
        if operation.name == "GLOBAL":
            vocabulary.check(*operation.argument, operation.position)
    machine = _Machine(vocabulary)
    end = start
    for operation in operations(source, start, stop, limits):
        _STEPS[operation.name](machine, operation)
        end = operation.end
    return Rebuilt(machine.stack[-1], tuple(machine.records), end)


@no_type_check  # at every operation: types checked at run time, as in the tests, would take most of the time
class _Machine:
    """The stack, memo and open groups of a pickle being followed; that values are there was checked before."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.records: list[Record] = []

    def take(self, count: int) -> list[Any]:
        start = len(self.stack) - count
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def take_group(self) -> list[Any]:
        group, self.stack = self.stack, self.below.pop()
        return group

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def nothing(self, operation: Operation) -> None:
        """PROTO, FRAME and STOP say nothing about the value."""

    def argument(self, operation: Operation) -> None:
        self.stack.append(operation.argument)

    def mark(self, operation: Operation) -> None:
        self.below.append(self.stack)
        self.stack = []

    def extend(self, operation: Operation, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise _misused(operation, target)
        target.extend(values)

    def store(self, operation: Operation, flat: list[Any]) -> None:
        """Items into a dict or into a record of a kind of dict; ``flat`` is key, value, key, value, ..."""
        target = self.stack[-1]
        mapping = isinstance(target, Record) and target.kind in self.vocabulary.mappings
        items = target.items if mapping else target
        if not isinstance(items, dict) or len(flat) % 2:
            raise _misused(operation, target)
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            if not isinstance(key, Record):
                _check_key(key, operation)
            items[key] = value

    def add(self, operation: Operation) -> None:
        values = self.take_group()
        target = self.stack[-1]
        if not isinstance(target, set):
            raise _misused(operation, target)
        for value in values:
            _check_key(value, operation)
        target.update(values)

    def put(self, operation: Operation) -> None:
        index = len(self.memo) if operation.name == "MEMOIZE" else operation.argument
        self.memo[index] = self.stack[-1]

    def get(self, operation: Operation) -> None:
        if operation.argument not in self.memo:
            raise InputError(f"{operation.name} at byte {operation.position}: nothing is remembered as that number")
        self.stack.append(self.memo[operation.argument])

    def look_up(self, operation: Operation) -> None:
        module, name = self.take(2) if operation.name == "STACK_GLOBAL" else operation.argument
        if not isinstance(module, str) or not isinstance(name, str):
            raise InputError(f"STACK_GLOBAL at byte {operation.position}: a name that is not text")
        self.vocabulary.check(module, name, operation.position)
        self.stack.append(Name(module, name))

    def make(self, operation: Operation) -> None:
        """REDUCE and NEWOBJ: instead of the call, a record of it."""
        name, args = self.take(2)
        if not isinstance(name, Name) or not isinstance(args, tuple):
            raise _misused(operation, name)
        if name.name not in self.vocabulary.made:
            where = f"{operation.name} of {name.module}.{name.name} at byte {operation.position}"
            raise InputError(f"{where}: refused, snapshots only mention this name")
        self.add_record(name.name, args)

    def add_record(self, kind: str, args: tuple[Any, ...]) -> None:
        self.records.append(Record(kind, args))
        self.stack.append(self.records[-1])

    def set_state(self, operation: Operation) -> None:
        (state,) = self.take(1)
        target = self.stack[-1]
        if not isinstance(target, Record) or not isinstance(state, dict | tuple) or target.state is not None:
            raise _misused(operation, target)
        target.state = state


def _check_key(key: object, operation: Operation) -> None:
    """Only text and small numbers: their hashes cannot be made to collide."""
    if not isinstance(key, str) and not (isinstance(key, int) and abs(key) < _LARGEST_KEY):
        raise InputError(f"{operation.name} at byte {operation.position}: refused, {_described(key)} as a key")


def _misused(operation: Operation, target: object) -> InputError:
    return InputError(f"{operation.name} at byte {operation.position}: refused, it does not fit {_described(target)}")


def _described(value: object) -> str:
    if isinstance(value, Name):
        return f"the name {value.module}.{value.name}"
    return repr(value) if isinstance(value, Record | Span) else f"a value of type {type(value).__name__}"


_Step: TypeAlias = Callable[[_Machine, Operation], None]

_STEPS: dict[str, _Step] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), _Machine.nothing),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), _Machine.argument),
    **dict.fromkeys(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _Machine.argument),
    **dict.fromkeys(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"), _Machine.argument),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.take(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.take(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.take(3))),
    "MARK": _Machine.mark,
    "TUPLE": lambda machine, _: machine.push(tuple(machine.take_group())),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "APPEND": lambda machine, operation: machine.extend(operation, machine.take(1)),
    "APPENDS": lambda machine, operation: machine.extend(operation, machine.take_group()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "SETITEM": lambda machine, operation: machine.store(operation, machine.take(2)),
    "SETITEMS": lambda machine, operation: machine.store(operation, machine.take_group()),
    "EMPTY_SET": lambda machine, _: machine.push(set()),
    "ADDITEMS": _Machine.add,
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.get),
    **dict.fromkeys(("GLOBAL", "STACK_GLOBAL"), _Machine.look_up),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _Machine.make),
    "BUILD": _Machine.set_state,
    "BINPERSID": lambda machine, _: machine.add_record("persistent id", tuple(machine.take(1))),
}
