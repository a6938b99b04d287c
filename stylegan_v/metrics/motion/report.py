"""What is said about motion: as JSON and as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stylegan_v.checkpoints import replacing
from stylegan_v.metrics.motion.figures import Row

JSON, PICTURE = "motion.json", "motion.png"


def as_report(
    protocol: Mapping[str, Any], rows: Mapping[str, Row], notes: Sequence[str], curves: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole report as plain values; None stands for what cannot be told.

    Args:
        protocol: What was compared, and how.
        rows: The table by name.
        notes: What is behind the table, in sentences.
        curves: By title.
    """
    figures = {name: asdict(row) for name, row in rows.items()}
    return _plain({"protocol": protocol, "figures": figures, "notes": notes, "curves": curves})


def as_text(report: Mapping[str, Any]) -> str:
    """The report as a table and notes."""
    protocol = report["protocol"]
    height, width = protocol["resolution"]
    cells = [["", "fake", "real", "good"]]
    cells += [[row["title"], _cell(row["fake"]), _cell(row["real"]), row["good"]] for row in report["figures"].values()]
    widths = [max(len(row[i]) for row in cells) for i in range(4)]
    lines = [
        f"Motion of {protocol['num_videos']} videos of {protocol['num_frames']} frames at {height}x{width}: "
        f"{protocol['fake']} beside {protocol['real']}",
        "",
        *("  ".join(_aligned(cell, widths[i], i) for i, cell in enumerate(row)).rstrip() for row in cells),
        "",
        "+- is the standard deviation over videos drawn anew from these; real spectrum distance: of random halves",
        *report["notes"],
    ]
    return "\n".join(lines) + "\n"


def write_json(folder: Path, report: Mapping[str, Any]) -> Path:
    """Leaves the report in ``folder``, whole or not at all."""
    with replacing(folder / JSON) as file:
        file.write((json.dumps(report, indent=1, allow_nan=False) + "\n").encode())
    return folder / JSON


def _aligned(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column in (1, 2) else cell.ljust(width)


def _cell(estimate: Mapping[str, float | None]) -> str:
    value, spread = estimate["value"], estimate["spread"]
    if value is None:
        return "-"
    return f"{value:.3g}" if spread is None else f"{value:.3g} +- {spread:.2g}"


def _plain(value: Any) -> Any:
    """Only what JSON knows."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
