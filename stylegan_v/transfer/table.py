"""What became of every tensor when the networks of one run started from those of another."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal

Outcome = Literal["taken", "adapted", "new", "unused"]
_MAX_LINES = 20
_MAX_MODULES = 3


@dataclass(frozen=True)
class Row:
    """One tensor.

    Attributes:
        network: ``generator``, ``generator_ema`` or ``discriminator``.
        name: Within that network.
        outcome: Taken as it was, adapted to another shape or neighbourhood, started anew, or, of the source, not used.
        old_shape: In the source; None where it has no such tensor.
        new_shape: In the new network; None for what was not used.
        how: What was done, or why nothing could be.
    """

    network: str
    name: str
    outcome: Outcome
    old_shape: tuple[int, ...] | None
    new_shape: tuple[int, ...] | None
    how: str = ""


@dataclass(frozen=True)
class Table:
    """The rows of all networks, and what a user should know besides.

    Attributes:
        path: The file that the weights came from.
        rows: In the order of the networks' tensors.
        num_clips: Clips that the source had seen; None: not known.
        notes: Sentences.
    """

    path: Path
    rows: list[Row]
    num_clips: int | None
    notes: list[str] = field(default_factory=list)

    def csv(self) -> str:
        """One line per tensor, with a header."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["network", "tensor", "outcome", "old shape", "new shape", "how"])
        for row in self.rows:
            shapes = [_shape(row.old_shape), _shape(row.new_shape)]
            writer.writerow([row.network, row.name, row.outcome, *shapes, row.how])
        return text.getvalue()

    def summary(self) -> list[str]:
        """A few lines for the log: counts, then what is not simply taken, then the notes."""
        lines = []
        for network, group in groupby(self.rows, lambda row: row.network):
            counts = Counter(row.outcome for row in group)
            told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("taken", "adapted", "new"))
            lines.append(f"{network}: {told}" + (f"; {counts['unused']} of the source unused" * bool(counts["unused"])))
        told = self._changes()
        room = _MAX_LINES - len(lines) - len(self.notes)
        if len(told) > room:
            told = [*told[: room - 1], f"  ... and {len(told) - room + 1} more kinds of change"]
        return [*lines, *told, *self.notes]

    def _changes(self) -> list[str]:
        """One line per outcome and reason, with its modules; the averaged generator fares as the generator does."""
        groups: dict[tuple[str, Outcome, str], list[str]] = {}
        for row in self.rows:
            if row.outcome in ("adapted", "new") and row.network != "generator_ema":
                groups.setdefault((row.network, row.outcome, row.how), []).append(row.name)
        return [
            f"  {network}: {outcome}, {how}: {_modules(names)}" if how else f"  {network}: {outcome}: {_modules(names)}"
            for (network, outcome, how), names in groups.items()
        ]


def _modules(names: list[str]) -> str:
    """The modules of tensors, as many as fit in a line."""
    modules = list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
    shown = modules[:_MAX_MODULES]
    return ", ".join([*shown, f"{len(modules) - len(shown)} more"] if len(shown) < len(modules) else shown)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else "x".join(map(str, shape)) or "scalar"
