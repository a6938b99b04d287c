"""Plain trees of values from files of unknown origin: YAML read within bounds, nothing in it made or run.

Every room may import this file; it imports nothing of the project but `errors`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from errors import InputError

_MAX_CHARACTERS = 1_000_000
_MAX_NODES = 100_000
_MAX_DEPTH = 40
_REMEDY = "give one that this project wrote"


def parse_config(text: str, path: Path, remedy: str = _REMEDY) -> dict[str, Any]:
    """The config that YAML text describes: plain values, bounded in size and depth.

    Args:
        text: Of the config.
        path: Where it came from, for messages.
        remedy: What the user can do, for messages.

    Raises:
        InputError: It is no such text.
    """
    if len(text) > _MAX_CHARACTERS:
        raise InputError(f"{path}: its config is too long to be one: {remedy}")
    try:
        config = yaml.safe_load(text)
    except MemoryError:
        raise
    except Exception as error:  # wrong values of YAML's own types raise anything: `!!bool x` a KeyError
        raise InputError(f"{path}: its config is not readable YAML: {remedy}") from error
    if not isinstance(config, dict) or not is_bounded(config):
        raise InputError(f"{path}: its config is not a plain tree: {remedy}")
    return config


def is_bounded(tree: Any, max_nodes: int = _MAX_NODES) -> bool:
    """Whether a tree is small and shallow enough to walk; aliases count each time they are met.

    Args:
        tree: Dictionaries, lists, and what they hold.
        max_nodes: Values in all.
    """
    level, num_nodes = [tree], 0
    for _ in range(_MAX_DEPTH):
        num_nodes += len(level)
        if num_nodes > max_nodes:
            return False
        children: list[Any] = []
        for node in level:
            if isinstance(node, (dict, list)):
                children.extend(node.values() if isinstance(node, dict) else node)
            if len(children) > max_nodes:
                return False
        level = children
    return not level
