from __future__ import annotations

import csv
from pathlib import Path

from stylegan_v.transfer.table import Row, Table

PATH = Path("runs/a/last.ckpt")


def row(name: str, outcome: str, how: str = "", network: str = "generator") -> Row:
    return Row(network, name, outcome, None if outcome == "new" else (2, 3), None if outcome == "unused" else (4,), how)  # type: ignore[arg-type]


def test_csv_has_a_line_per_tensor() -> None:
    rows = [row("a.weight", "adapted", "1 -> 3 frames, and more"), row("b", "new"), row("c", "unused")]
    rows.append(Row("discriminator", "p", "taken", (), ()))
    lines = list(csv.reader(Table(PATH, rows, None).csv().splitlines()))
    assert lines == [
        ["network", "tensor", "outcome", "old shape", "new shape", "how"],
        ["generator", "a.weight", "adapted", "2x3", "4", "1 -> 3 frames, and more"],
        ["generator", "b", "new", "", "4", ""],
        ["generator", "c", "unused", "2x3", "", ""],
        ["discriminator", "p", "taken", "scalar", "scalar", ""],
    ]


def test_summary_counts_and_names_what_is_not_simply_taken() -> None:
    rows = [row("a.weight", "taken"), row("b.weight", "adapted", "why"), row("b.bias", "adapted", "why")]
    rows += [row("c.weight", "adapted", "why"), row("d", "new", "other"), row("e", "unused")]
    rows += [row("b.weight", "adapted", "why", "generator_ema"), row("e", "taken", network="discriminator")]
    assert Table(PATH, rows, 100, ["A note."]).summary() == [
        "generator: 1 taken, 3 adapted, 1 new; 1 of the source unused",
        "generator_ema: 0 taken, 1 adapted, 0 new",
        "discriminator: 1 taken, 0 adapted, 0 new",
        "  generator: adapted, why: b, c",
        "  generator: new, other: d",
        "A note.",
    ]


def test_summary_stays_short() -> None:
    many = [row(f"block{n}.weight", "new", "same") for n in range(9)] + [
        row(f"x{n}.y", "new", str(n)) for n in range(90)
    ]
    lines = Table(PATH, many, None, ["A note."]).summary()
    assert len(lines) == 20
    assert lines[1] == "  generator: new, same: block0, block1, block2, 6 more"
    assert lines[-2:] == ["  ... and 74 more kinds of change", "A note."]
