"""Coordinate-aware modulation beside its baselines and the published figures, task by task.

    OMP_NUM_THREADS=1 python benchmarks/cam_tables.py
    OMP_NUM_THREADS=1 python benchmarks/cam_tables.py --tables signal --seeds 0,1

Tables are signal, picture, generalisation, video (FFNeRV), static and moving (radiance fields); each takes minutes on
one core. All runs go through train.py and are kept under --work: the same command reads what is finished, and begins
one that was stopped again. There is written

- tables.md and tables.json: parameters, bits, the published figure, ours of all seeds;
- curves_<table>.png: learning curves with and without modulation in one picture, of the first seed.

The Markdown goes to stderr, the JSON to stdout. The exit code is 1 where a table says that something is not as it
should be:

- signal: the median error of five seeds is not within 10 % of the published one (4.97, 3.34, 0.07, 0.03);
- picture: modulation gains less than 4 dB on average over three seeds;
- static, moving: as benchmarks/radiance_fields.py says.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from the checkout

from command_line import Parser
from errors import InputError, clear_errors

if TYPE_CHECKING:
    from benchmarks.cam.table import Table

ALL = "signal,picture,generalisation,video,static,moving"
_MOST_SEEDS = 100


def save_curves(path: Path, table: Table) -> None:
    """Draws the learning curves of a table into one picture.

    Args:
        path: The PNG.
        table: With curves.
    """
    from PIL import Image

    from datasets.files import atomic_path
    from fields.fitting.plots import plot

    curves = dict(table.curves)
    unit = table.unit
    if table.log_curves:
        unit = f"log10 of {unit}"
        curves = {
            name: (x, [math.log10(value) if value > 0 else math.nan for value in y]) for name, (x, y) in curves.items()
        }
    with atomic_path(path) as temporary:
        Image.fromarray(plot(f"{unit} by update", curves)).save(temporary, "PNG")


def benchmark(names: Sequence[str], seeds: Sequence[int] | None, work: Path) -> int:
    """Makes tables, writes and prints them; the number of things that are not as they should be.

    Args:
        names: Of the tables.
        seeds: Of parameters; None: those that the gates are about.
        work: Folder of runs, and of what is written.
    """
    from benchmarks.cam import TABLES
    from datasets.files import atomic_path

    unknown = [name for name in names if name not in TABLES]
    if unknown or not names:
        raise InputError(f"--tables {','.join(names)}: give some of {','.join(TABLES)}")
    work.mkdir(parents=True, exist_ok=True)
    tables = {name: TABLES[name].make(work, seeds or TABLES[name].seeds) for name in names}
    for name, table in tables.items():
        if table.curves:
            save_curves(work / f"curves_{name}.png", table)
    text = "\n\n".join(table.markdown() for table in tables.values())
    data = json.dumps({name: table.as_dict() for name, table in tables.items()})
    for name, content in (("tables.md", text + "\n"), ("tables.json", data)):
        with atomic_path(work / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    print(text, file=sys.stderr)
    print(data)
    return sum(len(table.failures) for table in tables.values())


def seeds_of(text: str) -> list[int]:
    """Seeds, written with commas between.

    Raises:
        InputError: They are no whole numbers, or too many.
    """
    parts = text.split(",")
    if not all(part.isdigit() for part in parts) or len(set(parts)) != len(parts) or len(parts) > _MOST_SEEDS:
        raise InputError(f"--seeds {text[:60]!r}: give different whole numbers with commas between")
    return [int(part) for part in parts]


def main(args: list[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("benchmarks/cam_tables.py"):
        parser = Parser(prog="benchmarks/cam_tables.py", description=__doc__)
        parser.add_argument("--tables", type=str, default=ALL, help="with commas between")
        parser.add_argument("--seeds", type=str, default="", help="of parameters; by default those of the gates")
        parser.add_argument("--work", type=Path, default=Path("out/cam_tables"), help="folder of runs and tables")
        given = parser.parse_args(args)
        seeds = seeds_of(given.seeds) if given.seeds else None
        if benchmark(given.tables.split(","), seeds, given.work):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
