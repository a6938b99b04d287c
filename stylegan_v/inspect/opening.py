"""Files of weights of every form, opened: nothing in them run, nothing computed yet."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from errors import InputError
from stylegan_v.inspect.contents import Contents
from stylegan_v.inspect.originals import of_original
from stylegan_v.inspect.ours import of_checkpoint, of_safetensors
from stylegan_v.weights import find_weights

_OURS = "stylegan_v"
_MAX_HEADER_BYTES = 10_000_000  # that of the largest networks has 30 kB


def open_contents(path: str | os.PathLike[str]) -> Contents:
    """What ``path`` holds.

    Args:
        path: A run folder (its last checkpoint is taken), a folder of weights, or a file of ours or of the original.

    Raises:
        InputError: There is nothing there, or it is no file of weights.
    """
    path = find_weights(path)
    if path.suffix == ".pkl":
        return of_original(path)
    if path.suffix != ".safetensors":
        return of_checkpoint(path)
    state, metadata = _read_safetensors(path)
    if metadata.get("format") == _OURS:
        return of_safetensors(path, state, metadata)
    if any(name.startswith("G_ema.") for name in state):
        return of_original(path)
    raise InputError(f"{path}: weights of another program: give what train.py or stylegan_v.official wrote")


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > _MAX_HEADER_BYTES:
        raise InputError(f"{path}: not a file of weights, or a damaged one: its header would have {length} bytes")
    try:
        # The tensors are views of the file: what is not used is not read.
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged or hostile file may raise anything
        raise InputError(f"{path}: not a file of weights, or a damaged one: {error}") from error
