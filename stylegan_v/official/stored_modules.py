"""Stored networks, out of the records of a pickle: names and tensors as in their state dicts.

The original's modules are records of one function, whose argument holds the name of a class, its attributes, and the
text of a program. That text is dropped here and nowhere kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from errors import InputError
from stylegan_v.official.machine import Record
from stylegan_v.official.opcodes import shown
from stylegan_v.official.storages import TensorReader

_PERSISTENT = "_reconstruct_persistent_obj"
_BY_REFERENCE = frozenset({"TemporalDifferenceEncoder", "Sequential", "Embedding"})
_MAX_DEPTH = 16
_MAX_ENTRIES = 20_000  # modules and tensors of one network
_LONGEST_NAME = 100  # of one module or tensor within its parent


def drop_program_texts(records: tuple[Record, ...]) -> None:
    """Removes from every module's record the source text that it carries."""
    for record in records:
        if record.kind == _PERSISTENT and record.args and isinstance(record.args[0], dict):
            record.args[0].pop("module_src", None)


def mapping(value: object, name: str) -> dict[Any, Any]:
    """The items of a stored dict or of a kind of dict.

    Args:
        value: A dict or a record.
        name: What a message calls it.

    Raises:
        InputError: It is neither.
    """
    if isinstance(value, Record) and value.kind in ("OrderedDict", "EasyDict", "defaultdict"):
        return value.items
    if not isinstance(value, dict):
        raise InputError(f"{shown(name)} is not a dict: the file is damaged or of another program")
    return value


def attributes(module: object, name: str) -> dict[Any, Any]:
    """The attributes of a stored module.

    Args:
        module: Its record.
        name: What a message calls it.

    Raises:
        InputError: It is not a module.
    """
    state = None
    if isinstance(module, Record) and module.kind == _PERSISTENT:
        described = module.args[0] if len(module.args) == 1 else None
        state = described.get("state") if isinstance(described, dict) else None
    elif isinstance(module, Record) and module.kind in _BY_REFERENCE:
        state = module.state
    if not isinstance(state, dict):
        raise InputError(f"{shown(name)} is not a network module of StyleGAN-V")
    return state


@dataclass(frozen=True)
class StoredNetwork:
    """A network's tensors by name, in the order of its state dict, and which of them are parameters."""

    tensors: dict[str, Tensor]
    parameters: tuple[str, ...]


class _Entry(NamedTuple):
    """Something met on the way through a network; without a value there is no tensor."""

    name: str
    value: Any = None
    trained: bool = False


def read_network(module: object, name: str, reader: TensorReader) -> StoredNetwork:
    """The state dict of a stored network: of each module its parameters, its buffers, then its children.

    Args:
        module: The record of the whole network.
        name: What messages call it: "G", "D" or "G_ema".
        reader: Makes the tensors.

    Raises:
        InputError: It is no network, or one of its tensors does not fit its bytes.
    """
    found: list[_Entry] = []
    for count, entry in enumerate(_walk(module, name, "", 0)):
        if count >= _MAX_ENTRIES:
            raise InputError(f"{name} has more than {_MAX_ENTRIES} modules and tensors: refused")
        if entry.value is not None:
            found.append(entry)
    tensors = {entry.name: reader.tensor(entry.value, f"{name}.{entry.name}") for entry in found}
    if len(tensors) != len(found):
        raise InputError(f"{name} has two tensors of one name: the file is damaged")
    return StoredNetwork(tensors, tuple(entry.name for entry in found if entry.trained))


def _walk(module: object, network: str, prefix: str, depth: int) -> Iterator[_Entry]:
    where = f"{network}.{prefix}".removesuffix(".")
    if depth > _MAX_DEPTH:
        raise InputError(f"{shown(where)}: modules nested deeper than {_MAX_DEPTH}: refused")
    state = attributes(module, where)
    for name, value in _named(state, "_parameters", where):
        yield _Entry(prefix + name, value, trained=True)
    unsaved = state.get("_non_persistent_buffers_set")
    for name, value in _named(state, "_buffers", where):
        saved = not isinstance(unsaved, set) or name not in unsaved
        yield _Entry(prefix + name, value if saved else None)
    for name, child in _named(state, "_modules", where):
        yield _Entry(prefix + name)  # so that modules count, and places without one
        if child is not None:
            yield from _walk(child, network, f"{prefix}{name}.", depth + 1)


def _named(state: dict[Any, Any], key: str, where: str) -> Iterator[tuple[str, Any]]:
    for name, value in mapping(state.get(key), f"{where}.{key}").items():
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or "." in name:
            raise InputError(f"{shown(where)}.{key}: {shown(name)} is no name of a module or tensor")
        yield name, value
