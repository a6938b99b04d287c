"""References between settings, ``${section.key}``, followed by hand: absolute paths, no functions, no environment."""

from __future__ import annotations

import re
from typing import Any

from errors import InputError
from stylegan_v.official.opcodes import shown

MISSING = "???"  # how the original's settings write a value that was never given

_REFERENCE = re.compile(r"\$\{([^${}:]+)\}")
_MAX_CHAIN = 16  # references that lead to references
_MAX_DEPTH = 48
_MAX_STEPS = 30_000
_LONGEST_TEXT = 4096


class References:
    """Settings in which references are replaced by what they refer to.

    A reference to nothing, to itself, or in a form that is not a path (``${now:...}``) stays as its text.

    Args:
        root: The settings that paths start from.

    Attributes:
        unknown: Where such a text stayed, and the text.
    """

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.unknown: dict[str, str] = {}
        self._left = _MAX_STEPS

    def resolved(self, value: Any, where: str, chain: tuple[str, ...] = (), depth: int = 0) -> Any:
        """A value with the references in it replaced.

        Args:
            value: Plain settings.
            where: What messages call it.
            chain: Paths that are being followed at this moment.
            depth: How many sections deep this is, those of the references included.

        Raises:
            InputError: The references multiply or nest the settings without end.
        """
        self._spend(1, where, depth)
        if isinstance(value, dict):
            return {key: self.resolved(item, f"{where}.{key}", chain, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolved(item, f"{where}[{i}]", chain, depth + 1) for i, item in enumerate(value)]
        if not _refers(value):
            return value
        try:
            return self._text(value, where, chain, depth)
        except LookupError:
            self.unknown[shown(where)] = shown(value)
            return value

    def _text(self, text: str, where: str, chain: tuple[str, ...], depth: int) -> Any:
        """What a text with references stands for: another setting, or a text made of them."""
        whole = _REFERENCE.fullmatch(text)
        if whole:
            return self._found(whole[1], where, chain, depth)
        parts = []
        for i, part in enumerate(_REFERENCE.split(text)):  # every second one is a path
            found = self._found(part, where, chain, depth) if i % 2 else part
            if isinstance(found, dict | list) or (isinstance(found, str) and _refers(found)):
                raise LookupError(part)
            parts.append(str(found))
        length = sum(map(len, parts))
        if length > _LONGEST_TEXT:
            raise LookupError(text)
        self._spend(length // 16, where, depth)
        return "".join(parts)

    def _found(self, path: str, where: str, chain: tuple[str, ...], depth: int) -> Any:
        self._spend(1, where, depth)
        if path in chain or len(chain) >= _MAX_CHAIN:
            raise LookupError(path)
        chain = (*chain, path)
        node: Any = self.root
        for key in path.split("."):
            if _refers(node):
                node = self._text(node, where, chain, depth + 1)
            if not isinstance(node, dict):
                raise LookupError(path)
            node = node[key]
        if _refers(node):
            return self._text(node, where, chain, depth + 1)
        return self.resolved(node, where, chain, depth + 1)

    def _spend(self, amount: int, where: str, depth: int) -> None:
        self._left -= amount
        if self._left < 0 or depth > _MAX_DEPTH:
            raise InputError(f"{shown(where)}: its references multiply or nest the settings without end: refused")


def _refers(value: object) -> bool:
    return isinstance(value, str) and ("${" in value or value == MISSING)
