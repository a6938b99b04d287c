"""Files written whole or not at all, and JSON from elsewhere read within bounds."""

from __future__ import annotations

import glob
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from errors import InputError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write a file or folder under; it becomes ``path`` when the body ends well.

    Args:
        path: The final name; missing folders above it are made. A file of that name is replaced, a folder that holds
            something is not.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:80]}-{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise


def remove_stale(path: Path) -> list[Path]:
    """Removes what a process killed while it wrote ``path`` left beside it, and says what that was.

    Nothing tells such a rest from what another process is still writing under the same name: call it where there is
    none.
    """
    stale = sorted(path.parent.glob(f".{glob.escape(path.name[:80])}-????????.tmp"))
    for item in stale:
        remove(item)
    return stale


def sync(path: Path) -> None:
    """Waits until a file, or all files of a folder, are on the disk; some disks only now say that they are full."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with file.open("rb+") as written:
            os.fsync(written.fileno())


def remove(path: Path) -> None:
    """Removes a file or a folder with all it holds; one that is not there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def to_json(value: Any) -> bytes:
    """JSON text, for people to read as well."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "surrogateescape")


def write_json(path: Path, value: Any) -> None:
    """Writes ``value`` as JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(to_json(value))


def parse_json(text: bytes, name: str | Path) -> Any:
    """The value of JSON text of unknown origin; ``name`` says in an error where it came from."""
    try:
        return json.loads(text.decode("utf-8-sig", "surrogateescape"))  # as `to_json` writes names that are no text
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not valid JSON ({error}); mend or remove it") from error


def read_json(path: Path, max_bytes: int = 2**28) -> Any:
    """The value of a JSON file of unknown origin.

    Raises:
        InputError: More than ``max_bytes``, or not JSON.
    """
    with path.open("rb") as file:
        text = file.read(max_bytes + 1)
    if len(text) > max_bytes:
        raise InputError(f"{path}: larger than {max_bytes} bytes, which no file of this kind is; mend or remove it")
    return parse_json(text, path)
