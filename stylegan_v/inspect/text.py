"""A report as text for a terminal: titled paragraphs of names and values, and a table of tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

Table = Literal["none", "summary", "all"]
_NAME_WIDTH = 22
_NUMBERS = ("mean", "std", "min", "max")


def as_text(report: Mapping[str, Any], table: Table = "summary") -> str:
    """The report for people.

    Args:
        report: From `report.describe`.
        table: Of tensors: none, a line for each part of a network, or a line for each tensor.
    """
    file = report["file"]
    parts = [
        [file["path"], *_lines(_header(file))],
        _titled("beside it", file["beside"]),
        _titled("progress", _progress(report)),
        _titled("networks", {name: _size(network) for name, network in report["networks"].items()}),
        *(_titled(name, _flat(part)) for name, part in report["settings"].items()),
        _titled("optimisers", {one["network"]: _optimizer(one) for one in report["optimizers"]}),
        _tensors(report, table),
        ["notes", *(f"  {note}" for note in report["notes"])] if report["notes"] else [],
        _health(report["health"]),
    ]
    return "\n\n".join(printable("\n".join(lines)) for lines in parts if lines)


def printable(text: str) -> str:
    """Text without control characters: names in a file may hold what a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)


def _lines(values: Mapping[str, Any]) -> list[str]:
    width = max([_NAME_WIDTH, *map(len, values)])
    return [f"  {name:<{width}} {value}" for name, value in values.items()]


def _titled(title: str, values: Mapping[str, Any]) -> list[str]:
    return [title, *_lines(values)] if values else []


def _header(file: Mapping[str, Any]) -> dict[str, str]:
    size = file["bytes"]
    found = {"is": file["what"], "size": f"{size / 1e6:.3f} MB ({size:,} bytes)"}
    if file["sha256"]:
        found["sha256"] = file["sha256"]
    found["modified"] = file["modified"]
    written_by = ", ".join(f"{name} {text}" for name, text in file["written_by"].items())
    return found | {"written by": written_by or "not recorded"}


def _progress(report: Mapping[str, Any]) -> dict[str, str]:
    counters, training = report["counters"], report["settings"].get("training", {})
    found = {}
    if "updates" in counters:
        found["updates"] = f"{counters['updates']:,}"
    if "kclips" in counters:
        found["kclips"] = f"{counters['kclips']:.3f} ({counters['num_clips']:,} clips)"
    if "kimg" in counters:
        total = training.get("total_kimg")
        known = isinstance(total, (int, float)) and total > 0
        share = f", {counters['kimg'] / total:.1%} of total_kimg {total:g}" if known else ""
        found["kimg"] = f"{counters['kimg']:.3f} ({counters['num_frames']:,} frames{share})"
    if "augment_p" in counters:
        found["ADA p"] = f"{counters['augment_p']:.4g}"
    if "fps" in counters:
        found["fps of the data"] = f"{counters['fps']:g}"
    if any(counters.get("bad_in_a_row", {}).values()):
        found["skipped steps"] = _value({name: n for name, n in counters["bad_in_a_row"].items() if n})
    return found


def _size(network: Mapping[str, Any]) -> str:
    dtypes = " and ".join(f"{dtype}" for dtype in network["dtypes"])
    if network["parameters"] is None:
        return f"{network['values']:,} values in {network['tensors']} tensors, {dtypes}"
    return f"{millions(network['parameters'])} parameters in {network['tensors']} tensors with buffers, {dtypes}"


def millions(count: int) -> str:
    """A count in millions, and exactly."""
    return f"{count / 1e6:.3f} M ({count:,})"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings by name; those of a class inside get its name before theirs."""
    lines: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and "class" in value:
            lines |= {f"{prefix}{name}": _value(value["class"])}
            lines |= _flat({key: part for key, part in value.items() if key != "class"}, f"{prefix}{name}.")
        else:
            joint = " x " if name == "resolution" and isinstance(value, list) else ", "
            lines[f"{prefix}{name}"] = _value(value, joint)
    return lines


def _value(value: Any, joint: str = ", ") -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(part)}" for name, part in value.items())
    if isinstance(value, list):
        return joint.join(map(_value, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _optimizer(one: Mapping[str, Any]) -> str:
    name = (one["class_path"] or "class not recorded").rpartition(".")[2]
    settings = ", ".join(f"{key} {_in_brackets(value)}" for key, value in one["settings"].items())
    steps = "" if one["steps"] is None else f", {one['steps']:,} steps"
    return f"{name}: {settings}; {one['num_parameters']} tensors{steps}"


def _in_brackets(value: Any) -> str:
    return f"({_value(value)})" if isinstance(value, list) else _value(value)


def _health(marks: list[Mapping[str, Any]]) -> list[str]:
    if not marks:
        return ["health", "  nothing wrong found"]
    signs = {"bad": "!!", "note": "  "}
    return ["health", *(f"  {signs[mark['level']]} {mark['where']}: {mark['what']}" for mark in marks)]


def _tensors(report: Mapping[str, Any], table: Table) -> list[str]:
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
