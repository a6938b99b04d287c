"""The parser of all commands: it says in one line, which names the key, what is wrong with a config or a flag.

Every room may import this file.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from errors import InputError

_MAX_LENGTH = 300
_KEY = re.compile(r'Parser key "([^"]+)":\s*(.*)')
_CLASS = re.compile(r"Problem with given class_path '([^']+)':\s*(.*)")
_GIVEN = re.compile(r"Given value: (.*)")
# Lines that only say that none of several types matched; the reasons are the lines below them.
_SCAFFOLD = re.compile(
    r"Does not validate against any of|Subtypes: |Errors:$|Given value type: |Given value: "
    r"|Expected a <class 'NoneType'>"
)
_NOT_ACCEPTED = re.compile(r"Option '([^']+)' is not accepted")
_SUBCOMMAND = re.compile(r"Subcommand '\w+' does not accept option '([^']+)'")
_UNRECOGNIZED = re.compile(r"[Uu]nrecognized arguments: (?:--)?([^\s=]+)")


@dataclass(frozen=True)
class Reason:
    """One complaint of the parser.

    Attributes:
        keys: Of the option it is about, from the outermost in.
        class_path: The innermost class it is about; empty outside of classes.
        depth: Number of keys and classes around it.
        text: What is wrong.
    """

    keys: tuple[str, ...]
    class_path: str
    depth: int
    text: str


def one_line(message: str, options: Iterable[str] = ()) -> str:
    """The parser's report as one line: the full key, the reason, and the nearest name where a name is wrong.

    Args:
        message: What jsonargparse says; every level of a nested config adds its own lines.
        options: All options of the program, as dotted keys without dashes, to suggest the nearest.
    """
    for pattern in (_SUBCOMMAND, _UNRECOGNIZED):
        if found := pattern.search(message):
            return f"{found.group(1)}: no such option{_nearest(found.group(1), options)}"
    found = _reasons(message)
    if not any(reason.keys for reason in found):
        return _shorten(message)
    # Every type that an option may have complains; the one that was meant got furthest.
    deepest = max(reason.depth for reason in found)
    best = [reason for reason in found if reason.depth == deepest]
    keys, class_path = best[0].keys, best[0].class_path
    if wrong := _NOT_ACCEPTED.match(best[0].text):
        name = wrong.group(1)
        return f"{'.'.join((*keys, name))}: no such option of {class_path}{_nearest(name, _parameters(class_path))}"
    text = " or ".join(dict.fromkeys(reason.text for reason in best if reason.keys == keys))
    given = _GIVEN.search(message)
    if given and text.startswith("Expected") and "Got value" not in text:
        text += f". Got value: {given.group(1)}"
    return _shorten(f"{'.'.join(keys)}: {text}")


def _reasons(message: str) -> list[Reason]:
    """Every complaint in the report, whose nesting is its indentation."""
    found: list[Reason] = []
    around: list[tuple[int, re.Pattern[str], str]] = []
    for line in filter(str.strip, message.splitlines()):
        text = line.lstrip(" -")
        indent = len(line) - len(text)
        around = [entry for entry in around if entry[0] < indent]
        for pattern in (_KEY, _CLASS):
            if opened := pattern.match(text):
                around.append((indent, pattern, opened.group(1)))
                text = opened.group(2)
        if text and not _SCAFFOLD.match(text):
            keys = tuple(name for _, pattern, name in around if pattern is _KEY)
            classes = [name for _, pattern, name in around if pattern is _CLASS]
            found.append(Reason(keys, classes[-1] if classes else "", len(around), text))
    return found


def _parameters(class_path: str) -> list[str]:
    """Parameter names of a class the parser has already imported."""
    module, _, name = class_path.rpartition(".")
    found = getattr(importlib.import_module(module), name, None) if module else None
    return list(inspect.signature(found).parameters) if isinstance(found, type) else []


def _nearest(name: str, candidates: Iterable[str]) -> str:
    """A suggestion in place of a wrong name; of a dotted key the first part alone may be what is wrong."""
    candidates = list(candidates)
    near = difflib.get_close_matches(name, candidates, n=1)
    near = near or difflib.get_close_matches(name.split(".")[0], [c for c in candidates if "." not in c], n=1)
    return f": did you mean {near[0]}?" if near else ": see --help"


def _shorten(text: str) -> str:
    text = re.sub(r"<class '([^']+)'>", r"\1", " ".join(text.split()))
    return text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - 3] + "..."


class OneLineErrors:
    """What makes a parser of jsonargparse refuse in one line; stands before it among the bases."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **kwargs)  # the beginning of a flag is not that flag

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error:  # a parser of one class, inside of another's check
            super().error(message, ex)
        raise InputError(one_line(message, self.options())) from ex

    def options(self) -> list[str]:
        """All options, those of subcommands too, as dotted keys without dashes."""
        parsers = [self, *(self._subcommands_action.choices.values() if self._subcommands_action else [])]
        return [action.dest for parser in parsers for action in parser._actions]


class Parser(OneLineErrors, ArgumentParser):
    """The parser of a command whose flags come from a function's signature."""
