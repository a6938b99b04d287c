"""References between settings, ``${section.key}``, followed by hand: absolute paths, no functions, no environment."""

from __future__ import annotations

import re
from typing import Any

from errors import InputError
from stylegan_v.official.opcodes import shown

MISSING = "???"  # how the original's settings write a value that was never given

_REFERENCE = re.compile(r"\$\{([^${}:]+)\}")
_MAX_CHAIN = 16  # references that lead to references
_MAX_STEPS = 100_000
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

    def resolved(self, value: Any, where: str, chain: tuple[str, ...] = ()) -> Any:
        """A value with the references in it replaced.

        Args:
            value: Plain settings.
            where: What messages call it.
            chain: Paths that are being followed at this moment.

        Raises:
            InputError: The references multiply the settings without end.
        """
        self._step(where)
        if isinstance(value, dict):
            return {key: self.resolved(item, f"{where}.{key}", chain) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolved(item, f"{where}[{i}]", chain) for i, item in enumerate(value)]
        if not isinstance(value, str) or ("${" not in value and value != MISSING):
            return value
        try:
            return self._text(value, where, chain)
        except LookupError:
            self.unknown[shown(where)] = shown(value)
            return value

    def _text(self, text: str, where: str, chain: tuple[str, ...]) -> Any:
        whole = _REFERENCE.fullmatch(text)
        if whole:
            return self._found(whole[1], where, chain)
        parts = []
        for part in re.split(r"(\$\{[^{}]*\})", text):
            reference = _REFERENCE.fullmatch(part)
            found = self._found(reference[1], where, chain) if reference else part
            if isinstance(found, dict | list) or (not reference and ("${" in part or text == MISSING)):
                raise LookupError(part)
            parts.append(str(found))
        if sum(map(len, parts)) > _LONGEST_TEXT:
            raise LookupError(text)
        return "".join(parts)

    def _found(self, path: str, where: str, chain: tuple[str, ...]) -> Any:
        self._step(where)
        if path in chain or len(chain) >= _MAX_CHAIN:
            raise LookupError(path)
        chain = (*chain, path)
        node: Any = self.root
        for key in path.split("."):
            if isinstance(node, str) and "${" in node:
                node = self._text(node, where, chain)
            if not isinstance(node, dict):
                raise LookupError(path)
            node = node[key]
        if isinstance(node, str) and ("${" in node or node == MISSING):
            return self._text(node, where, chain)
        return self.resolved(node, where, chain)

    def _step(self, where: str) -> None:
        self._left -= 1
        if self._left < 0:
            raise InputError(f"{shown(where)}: its references multiply without end: refused")
