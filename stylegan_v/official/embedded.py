"""Settings embedded in a snapshot, as plain values: dicts, lists, text and numbers.

They are stored as dicts, as dicts of the original's own kind, and as trees of config nodes, each of which knows its
parent; so one node leads to the settings of the whole run. References in them (``${sampling.fps}``) stay as they are.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from typing import Any, TypeAlias

from errors import InputError
from stylegan_v.official.machine import Name, Record
from stylegan_v.official.opcodes import Span, shown

Plain: TypeAlias = "dict[str, Any] | list[Any] | str | int | float | bool | None"

_MAX_DEPTH = 24
_MAX_VALUES = 30_000  # the sample has 2 000
_MAX_PARENTS = 24
_LONGEST_KEY = 100
_LONGEST_LIST = 16  # of numbers among an object's attributes; the original has one of four
_NUMPY_TYPES = {
    **{"f8": "d", "f4": "f", "f2": "e"},
    **{"i8": "q", "i4": "i", "i2": "h", "i1": "b"},
    **{"u8": "Q", "u4": "I", "u2": "H", "u1": "B", "b1": "?"},
}
_ORDERS = {"<": "<", "|": "<", "=": "<", ">": ">"}
_MAPPINGS = frozenset({"EasyDict", "OrderedDict", "defaultdict"})
_CONFIGS = frozenset({"DictConfig", "ListConfig"})


class PlainReader:
    """Turns stored settings into plain values and notes what it leaves out.

    Args:
        budget: Most values that it hands out, so that parts which many others share cannot multiply without end.

    Attributes:
        skipped: What was left unread, and why, one line each.
    """

    def __init__(self, budget: int = _MAX_VALUES) -> None:
        self.left = budget
        self.skipped: list[str] = []

    def section(self, value: object, where: str) -> dict[str, Any]:
        """A stored dict or config section; empty, and noted, when it is anything else."""
        read = self._value(value, where, 0)
        if isinstance(read, dict):
            return read
        if read is not _UNREAD:
            self.skipped.append(f"{where}: not a section of settings")
        return {}

    def _value(self, value: object, where: str, depth: int) -> Any:
        self.left -= 1
        if self.left < 0 or depth > _MAX_DEPTH:
            raise InputError(f"{shown(where)}: the settings are too many or nested deeper than {_MAX_DEPTH}: refused")
        value = _content(value)
        if value is None or isinstance(value, str | int | float):
            return value
        if isinstance(value, dict):
            return self._dict(value, where, depth)
        if isinstance(value, list | tuple):
            read = (self._value(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value))
            return [item for item in read if item is not _UNREAD]
        self.skipped.append(f"{shown(where)}: {_described(value)}, not needed")
        return _UNREAD

    def _dict(self, value: dict[Any, Any], where: str, depth: int) -> dict[str, Any]:
        read = {}
        for key, item in value.items():
            if not isinstance(key, str | int) or len(str(key)) > _LONGEST_KEY:
                raise InputError(f"{shown(where)}: a key of the settings is no short text: refused")
            plain = self._value(item, f"{where}.{key}", depth + 1)
            if plain is not _UNREAD:
                read[str(key)] = plain
        return read


_UNREAD = object()


def _content(value: object) -> object:
    """What a config node or a numpy number holds; any other value as it is."""
    if not isinstance(value, Record):
        return value
    if value.kind in _MAPPINGS:
        return value.items
    if value.kind == "scalar":
        return numpy_number(value)
    if value.kind == "AnyNode":
        held = _state(value).get("_val")
        return numpy_number(held) if isinstance(held, Record) and held.kind == "scalar" else held
    return _state(value).get("_content") if value.kind in _CONFIGS else value


def _state(node: Record) -> dict[Any, Any]:
    if not isinstance(node.state, dict):
        raise InputError(f"a {node.kind} in the settings has no content: the file is damaged")
    return node.state


def _described(value: object) -> str:
    kinds = {"_rebuild_tensor_v2": "a tensor", "_rebuild_parameter": "a tensor", "_reconstruct": "a numpy array"}
    if isinstance(value, Record):
        return kinds.get(value.kind, f"an object of {value.kind}")
    if isinstance(value, Span):
        return f"{len(value)} bytes"
    return f"the name {value.module}.{value.name}" if isinstance(value, Name) else f"a {type(value).__name__}"


def numpy_number(scalar: Record) -> int | float | bool:
    """The number in a stored numpy scalar, from its type's code and its bytes.

    Raises:
        InputError: It is of no numeric type, or has another number of bytes.
    """
    kind, raw = scalar.args if len(scalar.args) == 2 else (None, None)
    code = kind.args[0] if isinstance(kind, Record) and kind.kind == "dtype" and kind.args else None
    state = kind.state if isinstance(kind, Record) else None
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
    if not isinstance(code, str) or code not in _NUMPY_TYPES or not isinstance(order, str) or order not in _ORDERS:
        raise InputError("a numpy number in the settings is of no known type")
    form = _ORDERS[order] + _NUMPY_TYPES[code]
    if not isinstance(raw, Span) or len(raw) != struct.calcsize(form):
        raise InputError(f"a numpy number in the settings does not have the bytes of {code}")
    return struct.unpack(form, raw.read())[0]


def root_of(config: object) -> Record | None:
    """The config node above all others of which ``config`` is a part; None when it is no config node.

    Raises:
        InputError: The chain of parents is a circle or endless.
    """
    node = config
    for _ in range(_MAX_PARENTS):
        if not isinstance(node, Record) or node.kind not in _CONFIGS:
            return None
        parent = _state(node).get("_parent")
        if parent is None:
            return node
        node = parent
    raise InputError(f"the settings have more than {_MAX_PARENTS} levels, or are their own parents: refused")


def numbers(attributes: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """Those attributes of an object that are finite numbers or lists of them, without its private ones."""
    kept = {}
    for name, value in attributes:
        values = value[:_LONGEST_LIST] if isinstance(value, list) else [value]
        if isinstance(name, str) and not name.startswith("_") and all(map(_is_number, values)):
            kept[name] = values if isinstance(value, list) else value
    return kept


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
