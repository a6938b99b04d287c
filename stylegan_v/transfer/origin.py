"""What a start of a run may be given: its own checkpoint, to go on, or the weights of another, to begin a new run.

The two are not taken for each other: going on with the state of another run would count its updates and follow its
schedules, and starting anew from one's own weights would forget them.
"""

from __future__ import annotations

import os
from pathlib import Path

from errors import InputError
from stylegan_v.checkpoints import LAST, find_checkpoint, read_checkpoint, read_config
from stylegan_v.official.conversion import is_original
from stylegan_v.weights import GENERATOR, MODEL, find_weights, read_weights

_INIT_FROM = "--model.init_args.init_from"


def own_checkpoint(given: str | os.PathLike[str], folder: Path, run_name: str) -> Path:
    """The checkpoint with which a run goes on.

    Args:
        given: What ``--ckpt_path`` says: ``last``, a file, or a folder with a last checkpoint.
        folder: Of the run.
        run_name: Of the run.

    Raises:
        InputError: There is none, or it belongs to another run, or it is something to start a new run from.
    """
    path = folder / LAST if given == "last" else Path(given).expanduser()
    if (found := _weights(path)) is not None:
        raise InputError(
            f"--ckpt_path {given}: {found}, not the state of a run: --ckpt_path last continues this run, "
            f"{_INIT_FROM} {given} starts a new one from it"
        )
    path = find_checkpoint(path)
    if not _within(path, folder):
        other = read_config(read_checkpoint(path, mmap=True), path).get("run_name")
        if other != run_name:
            raise InputError(
                f"--ckpt_path {given}: a checkpoint of the run {other}, and this one is {run_name}: "
                f"{_INIT_FROM} {given} starts a new run from it, --run_name {other} continues that run"
            )
    return path


def _weights(path: Path) -> str | None:
    """What a path means that holds weights alone; None for anything else."""
    if path.is_dir():
        alone = not (path / LAST).exists() and any((path / name).exists() for name in (MODEL, GENERATOR))
        return "a folder of weights" if alone else None
    kinds = {".safetensors": "a file of weights", ".pkl": "a snapshot of the original system"}
    return kinds.get(path.suffix) if path.is_file() else None


def check_source(given: str | os.PathLike[str], folder: Path) -> None:
    """Makes sure, before anything is built, that there are weights to start from, and that they are of another run.

    What takes no time is looked at; a snapshot of the original, which takes seconds, is left to the reader.

    Args:
        given: What ``init_from`` says.
        folder: Of the new run.

    Raises:
        InputError: There are none, or they cannot be read, or they are the run's own.
    """
    path = find_weights(given)
    if _within(path, folder):
        raise InputError(
            f"{_INIT_FROM} {given}: lies in this run's own folder: --ckpt_path last continues this run; "
            "to start another one from it, choose another --run_name"
        )
    if not is_original(path):
        read_weights(path, wanted=())


def _within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
