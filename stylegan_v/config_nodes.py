"""A part of a config as an object, without building the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from command_line import one_line
from errors import InputError

Built = TypeVar("Built")


def instantiate(node: Mapping[str, Any] | None, base: type[Built], key: str) -> Built:
    """The object that a config node names, built as the training command builds it.

    Args:
        node: ``{class_path, init_args}``, plain values.
        base: What the class must be, or derive from.
        key: Where the node stands in the config, for messages.

    Raises:
        InputError: The node does not describe such an object, or its class refuses the arguments.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    if node is None:
        raise InputError(f"{key}: missing: give a class_path and its init_args")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(base, key)
    try:
        return parser.instantiate(parser.parse_object({key: dict(node)}))[key]
    except (ArgumentError, ValueError, OSError) as error:
        raise _root(error, key) from error


def _root(error: BaseException, key: str) -> Exception:
    """What the class itself said, which the parser wraps in a report on types."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (InputError, OSError)):
            return cause
        cause = cause.__cause__
    return InputError(one_line(str(error), [key]))
