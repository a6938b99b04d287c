"""A report for people: a row per video, mean and spread below, and what each figure means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def as_text(report: Mapping[str, Any]) -> str:
    """The report as a table and notes."""
    videos, names = report["videos"], list(report["over_videos"])
    cells = [["video", "frames", *names], *(_row(video, names) for video in videos)]
    if len(videos) > 1:
        means = [report["over_videos"][name] for name in names]
        cells.append(
            ["mean", str(sum(video["num_frames"] for video in videos)), *(_cell(mean["mean"]) for mean in means)]
        )
        cells.append(["+-", "", *(_cell(mean["std"]) for mean in means)])
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    table = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in cells]
    lines = [f"{report['result']} beside {report['reference']}", "", *table, "", *_notes(report)]
    return "\n".join(lines) + "\n"


def all_missing(report: Mapping[str, Any]) -> list[str]:
    """A line for every figure that was asked for and is not there."""
    lines = [*report["missing"].values()]
    for video in report["videos"]:
        lines += [f"{video['name']}: {why}" for why in video["missing"].values()]
    return lines


def _row(video: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    figures = video["figures"]
    return [
        video["name"],
        str(video["num_frames"]),
        *(_cell(figures[name]["mean"]) if name in figures else "missing" for name in names),
    ]


def _notes(report: Mapping[str, Any]) -> list[str]:
    """Worst frames, exact frames, and the conventions of the figures."""
    lines = []
    for video in report["videos"]:
        worst = [f"{name} {figure['worst'][0]['frame']}" for name, figure in video["figures"].items()]
        if worst:
            lines.append(f"worst frame of {video['name']}: {', '.join(worst)}")
        exact = video["figures"].get("psnr", {}).get("exact_frames", 0)
        if exact:
            lines.append(f"{video['name']}: exact frames, left out of the mean PSNR: {exact}")
        if "psnr" in video["figures"]:
            pooled = _cell(video["figures"]["psnr"]["psnr_of_mean_mse"])
            lines.append(f"{video['name']}: PSNR of the mean error is {pooled}, which is not the mean PSNR")
    if len(report["videos"]) > 1:
        lines.append(f"+- is the {report['spread']}")
    return [*lines, *(f"{name}: {convention}" for name, convention in report["conventions"].items())]


def _cell(value: float | str | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.4f}"
