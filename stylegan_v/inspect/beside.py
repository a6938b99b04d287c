"""What stands in the same folder as a file of weights and belongs to it, and whether it agrees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from errors import InputError
from stylegan_v.checkpoints import LAST
from stylegan_v.weights import CONFIG, GENERATOR, MODEL, read_weights

_ORIGINS = "init_from.csv"


def beside(path: Path, facts: Mapping[str, Any], config: Any = None) -> dict[str, str]:
    """Files of the same folder that belong to this one, each with whether it agrees.

    Args:
        path: Of the file that is looked at.
        facts: Of its run.
        config: The text of the config that it carries itself; anything else where it carries none.
    """
    found = {CONFIG: _config(path.with_name(CONFIG), config)}
    for name in (LAST, GENERATOR, MODEL, *_pair(path)):
        other = path.with_name(name)
        if other != path and other.is_file():
            found[name] = _compared(other, facts.get("updates"))
    if path.suffix == ".ckpt":
        found.setdefault(*_pair(path), "none")
    if path.with_name(_ORIGINS).is_file():
        found[_ORIGINS] = "what became of each tensor of the weights that the run started from"
    kept = sorted(one.name for one in path.parent.glob("kimg*.ckpt") if one != path)
    if kept:
        found["kept checkpoints"] = ", ".join(kept)
    return found


def _pair(path: Path) -> tuple[str, ...]:
    """The light file that belongs to a checkpoint, or the checkpoint that belongs to it."""
    if path.suffix == ".ckpt":
        return (GENERATOR if path.name == LAST else f"{path.stem}.safetensors",)
    return () if path.name in (GENERATOR, MODEL) else (f"{path.stem}.ckpt",)


def _config(path: Path, text: Any) -> str:
    if not path.is_file():
        return "none"
    if not isinstance(text, str):
        return "there"
    carried = text.encode()
    same = path.stat().st_size == len(carried) and path.read_bytes() == carried
    return "as in the checkpoint" if same else "differs from the checkpoint"


def _compared(other: Path, updates: int | None) -> str:
    """Whether a file is of the same update."""
    try:
        theirs = read_weights(other, wanted=()).facts.get("updates")
    except InputError as error:
        return f"cannot be read: {error}"
    if theirs is None or updates is None:
        return "of an unknown update"
    return "of the same update" if theirs == updates else f"of another update: {theirs:,}"
