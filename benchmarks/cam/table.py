"""A table of what coordinate-aware modulation makes of a task, beside what its authors published."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """One field on one task.

    Attributes:
        name: Of the field.
        paper: The published figure, as it is to be shown; "" where there is none.
        ours: Figures by seed.
        parameters: Of the field.
        bits: That they take.
    """

    name: str
    paper: str
    ours: Mapping[int, float]
    parameters: int
    bits: int

    @property
    def median(self) -> float:
        return statistics.median(self.ours.values())

    @property
    def mean(self) -> float:
        return statistics.fmean(self.ours.values())


@dataclass(frozen=True)
class Table:
    """Fields on one task.

    Attributes:
        title: What was done.
        unit: Of the figures.
        summary: "median" or "mean" of the seeds: what is compared.
        rows: A field each.
        failures: What is not as it should be; the exit code follows.
        curves: Learning curves by name, updates and figures: drawn into one picture.
        log_curves: Whether their figures are drawn as logarithms to base ten.
        notes: What a reader must know.
    """

    title: str
    unit: str
    summary: str
    rows: Sequence[Row]
    failures: Sequence[str] = ()
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)
    log_curves: bool = False
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """The table, as text that is a table in Markdown too."""
        seeds = sorted({seed for row in self.rows for seed in row.ours})
        head = ["field", "parameters", "bits", "paper", f"ours ({self.summary})", "least", "most"]
        lines = [head + [f"seed {seed}" for seed in seeds]]
        for row in self.rows:
            ours = list(row.ours.values())
            figures = [row.median if self.summary == "median" else row.mean, min(ours), max(ours)]
            each = [f"{row.ours[seed]:.4g}" if seed in row.ours else "" for seed in seeds]
            shown = [f"{value:.4g}" for value in figures]
            lines.append([row.name, f"{row.parameters:,}", f"{row.bits:,}", row.paper, *shown, *each])
        rules = ["---"] + ["---:"] * (len(lines[0]) - 1)
        text = "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rules, *lines[1:]])
        remarks = [*self.notes, *(f"FAILED: {failure}" for failure in self.failures)]
        return "\n".join([f"### {self.title} ({self.unit})", "", text, "", *(f"- {remark}" for remark in remarks)])

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values; without the curves."""
        plain = {name: value for name, value in asdict(self).items() if name not in ("curves", "log_curves")}
        for row, values in zip(self.rows, plain["rows"], strict=True):
            values |= {"median": row.median, "mean": row.mean}
        return plain
