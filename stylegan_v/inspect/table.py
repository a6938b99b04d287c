"""The tensors of a report as a table of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

Table = Literal["none", "summary", "all"]
_NUMBERS = ("mean", "std", "min", "max")


def tensor_table(report: Mapping[str, Any], table: Table) -> list[str]:
    """The lines of the table, a network's name before its rows; none where none is wanted.

    Args:
        report: From `report.describe`.
        table: A line for each part of a network, for each tensor, or none.
    """
    if table == "none":
        return []
    if table == "summary":
        heads = ["module", "tensors", "largest", "values"]
        rows = [
            [one["network"], one["module"], str(one["num_tensors"]), _shape(one["largest"])]
            for one in report["modules"]
        ]
    else:
        heads = ["tensor", "dtype", "shape", "values"]
        rows = [[one["network"], one["name"], one["dtype"], _shape(one["shape"])] for one in report["tensors"]]
    spreads = [one["spread"] for one in report["modules" if table == "summary" else "tensors"]]
    return _table([*heads, *_NUMBERS], [[*row, *_numbers(spread)] for row, spread in zip(rows, spreads, strict=True)])


def _shape(shape: list[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _numbers(spread: Mapping[str, Any]) -> list[str]:
    numbers = ["-" if spread[name] is None else f"{spread[name]:.3g}" for name in _NUMBERS]
    return [f"{spread['count']:,}", *numbers, f"!! {spread['not_finite']:,} not finite" if spread["not_finite"] else ""]


def _table(heads: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Columns as wide as they must be, networks as headings; the first column stands left, the others right."""
    rows = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(heads, *(row[1:-1] for row in rows), strict=True)]
    lines, network = [_cells(heads, widths)], None
    for row in rows:
        if row[0] != network:
            network = row[0]
            lines.append(network)
        lines.append(f"{_cells(row[1:-1], widths)}  {row[-1]}".rstrip())
    return lines


def _cells(cells: list[str], widths: list[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "  ".join([f"  {first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)])
