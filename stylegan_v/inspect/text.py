"""A report as text for a terminal: titled paragraphs of names and values, and a table of tensors."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from stylegan_v.inspect.table import Table, tensor_table

_NAME_WIDTH = 22
_LINE = 100
_JOINED = "\N{NO-BREAK SPACE}"  # between a name and its value
_WHOLE_WORDS = {"break_long_words": False, "break_on_hyphens": False}
_SECTIONS = ("model", "dataset", "sampling", "training")  # the others are about the machine that it ran on
_COPIES = ("cfg", "sampling")  # sections that stand elsewhere in the same file too


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
        _wrapped("where these come from", _by_source(report["origins"])),
        _wrapped("the file itself says", _embedded(report["embedded"])),
        _titled("optimisers", {one["network"]: _optimizer(one) for one in report["optimizers"]}),
        tensor_table(report, table),
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


def _wrapped(title: str, values: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Many names and values in few lines, under a title and a name for each group of them."""
    lines = [title] if values else []
    for name, pairs in values.items():
        text = ", ".join(_JOINED.join(filter(None, (key, _in_brackets(value)))) for key, value in pairs.items())
        begin, indent = f"  {name:<{_NAME_WIDTH}} ", " " * (_NAME_WIDTH + 3)
        lines += textwrap.wrap(text, _LINE, initial_indent=begin, subsequent_indent=indent, **_WHOLE_WORDS)
    return [line.replace(_JOINED, " ") for line in lines]


def _by_source(origins: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings under what tells them."""
    return {
        source: {name: _brief(origin["value"]) for name, origin in origins.items() if origin["source"] == source}
        for source in dict.fromkeys(origin["source"] for origin in origins.values())
    }


def _brief(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return str(value["class_path"]).rpartition(".")[2] if "class_path" in value else f"{len(value)} numbers"


def _embedded(embedded: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a file of the original says beside its tensors, without copies of its settings inside of its settings."""
    parts = {name: _leaves(part) for name, part in embedded.items() if name != "config"}
    config = embedded.get("config", {})
    parts |= {f"config.{name}": _leaves(config[name]) for name in _SECTIONS if isinstance(config.get(name), Mapping)}
    parts["config"] = {name: value for name, value in config.items() if not isinstance(value, Mapping)}
    others = [name for name, value in config.items() if isinstance(value, Mapping) and name not in _SECTIONS]
    parts["only with --json"] = {f"config.{name}": "" for name in others}
    return {name: leaves for name, leaves in parts.items() if leaves}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        if not isinstance(value, Mapping):
            leaves[f"{prefix}{name}"] = value
        elif name not in _COPIES:
            leaves |= _leaves(value, f"{prefix}{name}.")
    return leaves


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
    if counters.get("past_clips"):
        found["kclips before"] = f"{counters['past_clips'] / 1000:.3f}, of the weights it started from"
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
    steps = "" if one["steps"] is None else f", {one['steps']:,} step{'s' * (one['steps'] != 1)}"
    return f"{name}: {settings}; {one['num_parameters']} tensors{steps}"


def _in_brackets(value: Any) -> str:
    """A value among others."""
    if isinstance(value, Mapping):
        return f"({', '.join(f'{name} {_in_brackets(part)}' for name, part in value.items())})"
    return f"({_value(value)})" if isinstance(value, list) else _value(value)


def _health(marks: list[Mapping[str, Any]]) -> list[str]:
    if not marks:
        return ["health", "  nothing wrong found"]
    signs = {"bad": "!!", "note": "  "}
    return ["health", *(f"  {signs[mark['level']]} {mark['where']}: {mark['what']}" for mark in marks)]
