"""Config nodes of fields, from files of unknown origin: built from classes of this room alone."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from errors import InputError

ROOM = "fields."
_TRAINING = ("fields.super_resolution.", "fields.fitting.")  # these hold models, and are none


def is_node(value: Any) -> bool:
    """Whether a value names a class and its arguments."""
    return isinstance(value, dict) and isinstance(value.get("class_path"), str)


def build(node: Mapping[str, Any], max_tensors: int) -> nn.Module:
    """The module that a node names, without memory for its parameters (on the device "meta").

    Args:
        node: ``{class_path, init_args}``; arguments are plain values, lists, or such nodes.
        max_tensors: More parameters than these are not made, whatever counts the node states.

    Raises:
        InputError: It names anything but modules of this room, or their arguments do not suit.
    """
    with torch.device("meta"), _at_most(max_tensors, node.get("class_path")):
        return _built(dict(node))


def _built(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_built, value))
    if not is_node(value):
        return value
    class_path, arguments = value["class_path"], value.get("init_args") or {}
    if not isinstance(arguments, dict):
        raise InputError(f"{class_path}: its init_args are no names and values: mend the config")
    made = _class(class_path)
    try:
        return made(**{name: _built(argument) for name, argument in arguments.items()})
    except InputError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]  # torch adds where in its own code
        raise InputError(f"{class_path}: cannot be built with these init_args: {reason}") from error


def _class(class_path: str) -> type[nn.Module]:
    """The module class of this room that ``class_path`` names; nothing else is ever imported."""
    refusal = f"{class_path}: a config of weights may name only modules of {ROOM}*: mend it"
    if not class_path.startswith(ROOM) or class_path.startswith(_TRAINING):
        raise InputError(refusal)
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"{class_path}: named by the config of the weights, but not part of this version") from error
    # A module of this room also holds names it imported from elsewhere.
    if not (isinstance(found, type) and issubclass(found, nn.Module) and found.__module__.startswith(ROOM)):
        raise InputError(refusal)
    return found


@contextmanager
def _at_most(max_tensors: int, class_path: Any) -> Iterator[None]:
    """Stops who builds more parameters than the file has: a config may ask for a billion blocks."""
    made = 0

    def count(*_: Any) -> None:
        nonlocal made
        made += 1
        if made > max_tensors:
            raise InputError(
                f"{class_path}: its settings ask for more parameters than the {max_tensors} that there are: give the "
                "settings that belong to the weights"
            )

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()
