"""What is said about a run: the rows of its report, what they mean, as JSON and as text."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stylegan_v.checkpoints import replacing
from stylegan_v.metrics.measure import COLUMNS

FLOOR, SAMPLES, FROZEN_SAMPLES = "other real clips (floor)", "samples", "samples, frozen"
UNTRAINED, FROZEN_REAL, SHUFFLED_REAL = "untrained generator", "real clips, frozen", "real clips, frames shuffled"

Rows = dict[str, dict[str, float]]


def summarize(draws: Sequence[Rows]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and standard deviation over the draws, by row and column."""
    return {
        row: {
            column: {
                "mean": statistics.fmean(draw[row][column] for draw in draws),
                "std": statistics.stdev(draw[row][column] for draw in draws),
            }
            for column in COLUMNS
        }
        for row in draws[0]
    }


def judge(draws: Sequence[Rows]) -> dict[str, float]:
    """What the rows say about the samples.

    Returns:
        ``appearance_covered``: share of the way from the untrained generator to the floor, by the means of the Frechet
        distance; ``motion_below_frozen``: share of the draws in which the samples move more like real clips than their
        own frozen copies do, by the same distance; ``motion_over_frozen``: the quotient of the two means.
    """
    mean = {row: {column: cell["mean"] for column, cell in cells.items()} for row, cells in summarize(draws).items()}
    untrained, samples, floor = (mean[row]["appearance_frechet"] for row in (UNTRAINED, SAMPLES, FLOOR))
    below = [draw[SAMPLES]["motion_frechet"] < draw[FROZEN_SAMPLES]["motion_frechet"] for draw in draws]
    return {
        "appearance_covered": (untrained - samples) / (untrained - floor),
        "motion_below_frozen": statistics.fmean(below),
        "motion_over_frozen": mean[SAMPLES]["motion_frechet"] / mean[FROZEN_SAMPLES]["motion_frechet"],
    }


def markdown(report: dict[str, Any], curves: Path | None) -> str:
    """The report as text that reads well with and without rendering.

    Args:
        report: Of `demo_report.demo_report`.
        curves: Picture of the training curves, in the same folder.
    """
    protocol, verdict = report["protocol"], report["verdict"]
    resolution = "x".join(str(side) for side in protocol["resolution"])
    cells = [[row, *(_cell(cell) for cell in columns.values())] for row, columns in report["rows"].items()]
    lines = [
        f"Distances to real clips ({protocol['reference']}), lower is better. {report['measure']}.",
        f"{protocol['clips']} clips of {protocol['frames']} frames at {resolution} in every set; mean +- standard "
        f"deviation over {protocol['draws']} independent draws; {protocol['weights']} weights; covariance "
        f"{protocol['covariance']}.",
        "",
        *_table(["", *(column.replace("_", ", ") for column in COLUMNS)], cells),
        "",
        f"Appearance covers {verdict['appearance_covered']:.0%} of the way from the untrained generator to the floor.",
        f"In {verdict['motion_below_frozen']:.0%} of the draws the samples move more like real clips than their own "
        f"frozen copies do (at {verdict['motion_over_frozen']:.2f} of the distance).",
    ]
    if curves is not None:
        lines += ["", f"![training curves]({curves.name})"]
    return "\n".join(lines) + "\n"


def write_report(folder: Path, report: dict[str, Any], curves: Path | None) -> None:
    """Leaves report.json and report.md in ``folder``; each whole or not at all."""
    for name, text in (("report.json", json.dumps(report, indent=1) + "\n"), ("report.md", markdown(report, curves))):
        with replacing(folder / name) as file:
            file.write(text.encode())


def _cell(cell: dict[str, float]) -> str:
    return f"{cell['mean']:.3g} +- {cell['std']:.2g}"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table with aligned columns."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [[head[i].ljust(width) if i == 0 else head[i].rjust(width) for i, width in enumerate(widths)]]
    lines.append(["-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)])
    lines += [[row[i].ljust(w) if i == 0 else row[i].rjust(w) for i, w in enumerate(widths)] for row in rows]
    return [f"| {' | '.join(line)} |" for line in lines]
