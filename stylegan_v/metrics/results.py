"""Results as lines of JSON, and as text for people."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from errors import InputError

_MAX_BYTES = 2**28


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Adds one line to a file of JSON lines: whole, or not at all.

    Args:
        path: The file; made where it is missing.
        record: Plain values, none of them infinite or no number.
    """
    line = (json.dumps(record, allow_nan=False) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        before = file.tell()
        if before and not _ends_with_newline(path):
            line = b"\n" + line  # a process died in the middle of a line: only that one is lost
        try:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            os.truncate(path, before)
            raise


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a file of JSON lines; a line that is not whole is left out.

    Raises:
        InputError: The file is too large to be one of results.
    """
    return list(_records(path)) if path.is_file() else []


def as_text(record: Mapping[str, Any]) -> str:
    """A result for people: the score, what it may be compared with, and what it can see.

    Args:
        record: Of `evaluation.Result.record`.
    """
    spread = "" if record["spread"] is None else f" +- {record['spread']:.2g} over {len(record['draws'])} draws"
    num_real = "" if record["num_real"] is None else f"{record['num_real']} real, "
    lines = [
        f"{record['protocol']}: {record['value']:.5g}{spread} ({num_real}{record['num_fake']} fake; {record['part']} "
        f"of {record['data']})"
    ]
    if record["bootstrap"]:
        lines.append("  within one draw: " + ", ".join(f"{k} {v:.3g}" for k, v in record["bootstrap"].items()))
    if rows := record["sanity"]:
        cells = "   ".join(f"{name} {value:.5g}" for name, value in rows.items() if name != "num")
        lines.append(f"  what it sees, real against ({rows['num']} each):  {cells}")
    else:
        lines.append("  what it sees is not known: too few real videos for two halves")
    if record["late"]:
        lines.append("  starting late:  " + "   ".join(f"t0 {t}: {v:.5g}" for t, v in record["late"].items()))
    skipped = ", ".join(f"{count} {side}" for side, count in record["skipped"].items() if count)
    if skipped:
        lines.append(f"  skipped as too short: {skipped} videos")
    cache = "; statistics of real videos from the cache" if record["cached"] else ""
    lines.append(
        f"  {record['detector']} {record['detector_hash'][:19]}, protocol {record['protocol_hash'][:8]}, data "
    )
    lines[-1] += f"{record['manifest_hash'][:8]}, {record['seconds']:.1f} s{cache}"
    if said := record["caveat"] or record["comparable"]:
        lines.append(f"  {said}")
    return "\n".join(lines) + "\n"


def _records(path: Path) -> Iterator[dict[str, Any]]:
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path}: too large to be a file of results: give another")
    for line in path.read_text(errors="replace").splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield record


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
