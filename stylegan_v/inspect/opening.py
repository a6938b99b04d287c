"""Files of weights of every form, opened: nothing in them run, nothing computed yet."""

from __future__ import annotations

import os

from natsort import natsorted

from errors import InputError
from stylegan_v.inspect.contents import Contents
from stylegan_v.inspect.originals import of_original
from stylegan_v.inspect.ours import of_checkpoint, of_safetensors
from stylegan_v.weights import FORMAT, find_weights, read_tensors


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
    tensors, metadata = read_tensors(path)
    state = {name: tensors[name] for name in natsorted(tensors)}  # b16 after b8
    if metadata.get("format") == FORMAT:
        return of_safetensors(path, state, metadata)
    if any(name.startswith("G_ema.") for name in state):
        return of_original(path)
    raise InputError(f"{path}: weights of another program: give what train.py or stylegan_v.official wrote")
