"""Lists as they are written on a command line: numbers and ranges, moments, sizes. Nothing in them is executed.

This file imports nothing heavy.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from errors import InputError

MAX_NUMBERS = 1_000_000
_MAX_FILE_BYTES = 100_000_000
_ENTRY = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?")
_TERM = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_SUM = re.compile(rf"[+-]?{_TERM}(?:[+-]{_TERM})*")
_SIGNED_TERM = re.compile(rf"[+-]?{_TERM}")
_SIZE = re.compile(r"(\d{1,4})x(\d{1,4})")


def numbers(text: str | int, key: str, below: int | None = None) -> list[int]:
    """Whole numbers of a list such as ``0,5,7-9``, in its order.

    Args:
        text: Numbers from 0 on and ranges, whose ends both belong to them, between commas.
        key: What is being read, for the message.
        below: What all of them are smaller than.

    Raises:
        InputError: It is no such list, it has more than a million entries, or too large ones.
    """
    found: list[int] = []
    for entry in str(text).split(","):
        match = _ENTRY.fullmatch(entry.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise InputError(f"{key}: {_short(text)}: give whole numbers from 0 on, and ranges, such as 0,5,7-9")
        if len(found) + last - first >= MAX_NUMBERS:
            raise InputError(f"{key}: {_short(text)}: are more than {MAX_NUMBERS}: ask for fewer at once")
        found.extend(range(first, last + 1))
    if below is not None and max(found) >= below:
        raise InputError(f"{key}: {max(found)} is too large: give {key} from 0 to {below - 1}")
    return found


def moments(text: str, key: str) -> list[float]:
    """Moments of a list such as ``0,0.25,1e6+0.5``, or of a text file of such entries, in their order.

    Args:
        text: Entries between commas or spaces; each is a number or a sum of numbers. Or the name of a file.
        key: What is being read, for the message.

    Raises:
        InputError: An entry is no such sum, or there are none, or more than a million.
    """
    try:
        is_file = Path(text).expanduser().is_file()
    except (OSError, ValueError):  # a long list is no name of a file
        is_file = False
    source = f"{key}: {text if is_file else _short(text)}"
    entries = (_read(Path(text).expanduser(), source) if is_file else text).replace(",", " ").split()
    if not 0 < len(entries) <= MAX_NUMBERS:
        raise InputError(f"{source}: holds {len(entries)} moments: give 1 to {MAX_NUMBERS}")
    return [_moment(entry, source) for entry in entries]


def size(text: str, key: str) -> tuple[int, int]:
    """Rows and columns of a size such as ``5x5``.

    Raises:
        InputError: It is no such size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or "0" in (match[1].lstrip("0") or "0", match[2].lstrip("0") or "0"):
        raise InputError(f"{key}: {_short(text)}: give rows and columns, such as 5x5")
    return int(match[1]), int(match[2])


def _moment(entry: str, source: str) -> float:
    if not _SUM.fullmatch(entry):
        raise InputError(
            f"{source}: {_short(entry)} is no moment: give numbers or sums of them, such as 0.25 or 1e6+0.5"
        )
    value = math.fsum(map(float, _SIGNED_TERM.findall(entry)))
    if not math.isfinite(value):
        raise InputError(f"{source}: {_short(entry)} is too large: give moments below 9e15")
    return value


def _read(path: Path, source: str) -> str:
    with path.open("rb") as file:
        content = file.read(_MAX_FILE_BYTES + 1)
    try:
        if len(content) <= _MAX_FILE_BYTES:
            return content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: is no text file: give one moment per line") from error
    raise InputError(f"{source}: is larger than {_MAX_FILE_BYTES} bytes: ask for fewer moments at once")


def _short(text: str | int) -> str:
    text = " ".join(str(text).split())
    return text if len(text) <= 60 else text[:57] + "..."
