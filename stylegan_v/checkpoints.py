"""Checkpoints on disk: written whole or not at all, read without running anything, built from an allow-list.

A checkpoint is what Lightning saves, tensors and plain values only, plus the run's resolved config as YAML text under
``config``. Reading one never executes what it holds: the tensors come through `torch.load(weights_only=True)`, the
config through a bounded safe YAML reader, and only modules of this project can be named in it.
"""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from errors import InputError
from plain_config import parse_config
from stylegan_v.networks.decoder import Decoder

LAST, BEST = "last.ckpt", "best.ckpt"
BUILDABLE = ("stylegan_v.", "fields.")
_REMEDY = "give a checkpoint that train.py wrote"


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` once it is complete and on the disk; on any failure nothing changes.

    Args:
        path: The final name; the folder must exist. Until the end the bytes go to a temporary name beside it.

    Raises:
        InputError: There is a folder, a device or a pipe of this name, which a file would take the place of.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is there already, and no file: choose another name")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Makes a rename in ``folder`` survive a loss of power."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_stale(folder: Path) -> list[Path]:
    """Removes what a process killed while it wrote left in ``folder``, and says what that was."""
    stale = sorted(folder.glob(".*.tmp"))
    for path in stale:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return stale


def write_checkpoint(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Saves ``checkpoint`` under ``path``; whoever reads ``path`` finds the old one or the new one, never a part.

    Raises:
        OSError: The disk is full, or the folder cannot be written; the old checkpoint is still there.
    """
    with replacing(path) as file:
        try:
            torch.save(checkpoint, file)
        except RuntimeError as error:
            # torch reports a failed write as its own error, with the system's one behind it.
            raise _system_error(error) or error from None


def _system_error(error: BaseException | None) -> OSError | None:
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def find_checkpoint(path: str | os.PathLike[str]) -> Path:
    """The checkpoint that ``path`` means: the file itself, or ``last.ckpt`` of a run folder.

    Raises:
        InputError: There is none.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        path = path / LAST
    if not path.is_file():
        raise InputError(f"{path}: no checkpoint there: give a run folder that holds {LAST}, or a checkpoint file")
    return path


def read_checkpoint(path: Path, *, mmap: bool = False) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU, nothing in it executed.

    Args:
        path: A file.
        mmap: Whether tensors are left on disk until they are used.

    Raises:
        InputError: The file is no checkpoint of this project.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged or hostile file may raise anything
        raise InputError(f"{path}: not a checkpoint, or a damaged one: give one that train.py wrote") from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise InputError(f"{path}: holds no training state: give a checkpoint that train.py wrote")
    return checkpoint


def read_config(checkpoint: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The resolved config of the run that wrote ``checkpoint``.

    Args:
        checkpoint: From `read_checkpoint`.
        path: Where it came from, for messages.

    Raises:
        InputError: It carries no usable config.
    """
    text = checkpoint.get("config")
    if not isinstance(text, str):
        raise InputError(f"{path}: carries no config: give a checkpoint that train.py wrote")
    return parse_config(text, path, _REMEDY)


def build(node: Any) -> Any:
    """A config node as an object: ``{class_path, init_args}`` becomes a module of this project, a list a tuple.

    A decoder becomes what makes one: the generator that it is for knows the sizes that are still missing.

    Args:
        node: Plain values, lists, dictionaries, and nodes that name a class.

    Raises:
        InputError: A class outside the allow-list is named, or the arguments do not suit it.
    """
    if isinstance(node, dict) and "class_path" in node:
        made = _buildable_class(node["class_path"])
        arguments = node.get("init_args") or {}
        if not isinstance(arguments, dict):
            raise InputError(f"{node['class_path']}: init_args in the config of the checkpoint are no names and values")
        arguments = {name: build(value) for name, value in arguments.items()}
        if issubclass(made, Decoder):
            return partial(made, **arguments)
        try:
            return made(**arguments)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]  # torch adds where in its own code
            raise InputError(
                f"{node['class_path']}: cannot be built from the config of the checkpoint: {reason}"
            ) from error
    if isinstance(node, dict):
        return {name: build(value) for name, value in node.items()}
    if isinstance(node, list):
        return tuple(build(value) for value in node)
    return node


def _buildable_class(class_path: Any) -> type[nn.Module]:
    """The module class of this project that ``class_path`` names; nothing else is ever imported."""
    refusal = f"{class_path}: the config of a checkpoint may name only modules of {' and '.join(BUILDABLE)}*"
    if not isinstance(class_path, str) or not class_path.startswith(BUILDABLE):
        raise InputError(refusal)
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"{class_path}: named by the checkpoint, but not part of this version") from error
    # A module of this project also holds names it imported from elsewhere.
    if not (isinstance(found, type) and issubclass(found, nn.Module) and found.__module__.startswith(BUILDABLE)):
        raise InputError(refusal)
    return found


def check_fits(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path) -> None:
    """Compares the names and shapes of two state dicts.

    Args:
        expected: Of the model at hand.
        found: Of the checkpoint.
        path: Of the checkpoint, for the message.

    Raises:
        InputError: They differ; the message names the first tensor that does, and both shapes.
    """
    for name in [*expected, *found]:
        here, there = (list(side[name].shape) if name in side else "missing" for side in (expected, found))
        if here != there:
            raise InputError(
                f"{path}: a checkpoint of another architecture: {name} is {there} there and {here} here: "
                "use the config of that run, or another checkpoint"
            )
