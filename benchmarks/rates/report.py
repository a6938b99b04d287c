"""What is said of the curves: savings, a table, a picture."""

from __future__ import annotations

import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.rates.clips import Clip
from benchmarks.rates.points import RATES, Point, Saving, hull, saving

RIVAL, ORIGINAL, RATE = "NVP, sheets", "NVP, a file per level", "NVP, rate-aware"
LEAST_SAVING = 30.0  # percent, of the rate-aware codec against the rival, mean over clips
SWEPT = {RIVAL}  # many settings were tried, and the best of them count
Curves = Mapping[str, Sequence[Point]]

_STYLES = {
    "x264 yuv420p": {"color": "tab:gray", "linestyle": ":"},
    "x264 yuv444p": {"color": "tab:gray", "linestyle": "-"},
    "x265 yuv420p": {"color": "black", "linestyle": ":"},
    "x265 yuv444p": {"color": "black", "linestyle": "-"},
    RIVAL: {"color": "tab:blue", "linestyle": "-", "marker": "s"},
    ORIGINAL: {"color": "tab:cyan", "linestyle": "--", "marker": "x"},
    RATE: {"color": "tab:red", "linestyle": "-", "marker": "o"},
}


def best(method: str, points: Sequence[Point], rate: str) -> list[Point]:
    """The points that count: of a sweep its hull, else all.

    Args:
        method: Name of a curve.
        points: Of it.
        rate: Of `RATES`.
    """
    return hull(points, RATES[rate]) if method in SWEPT else sorted(points, key=RATES[rate])


def savings(curves: Curves) -> dict[str, dict[str, Saving | str]]:
    """What the rate-aware codec saves against the others on a clip, by every rate that counts; or why that is unknown.

    Args:
        curves: Of one clip, by their names.
    """
    if RATE not in curves:
        return {}
    others = [method for method in curves if method != RATE]
    return {
        method: {name: saving(curves[RATE], best(method, curves[method], name), rate) for name, rate in RATES.items()}
        for method in others
    }


def failures(found: Mapping[str, Mapping[str, Mapping[str, Saving | str]]]) -> list[str]:
    """What is not as it should be: the mean saving over clips against the rival.

    Args:
        found: Of every clip, as `savings` gives it.
    """
    wrong = []
    for name in ("payload", "file"):
        each = {clip: methods[RIVAL][name] for clip, methods in found.items() if RIVAL in methods}
        said = [f"{clip}: {one}" for clip, one in each.items() if isinstance(one, str)]
        figures = [one.percent for one in each.values() if isinstance(one, Saving)]
        if said:
            wrong.append(f"{name}: no figure for {'; '.join(said)}")
        if figures and not statistics.mean(figures) >= LEAST_SAVING:
            mean = statistics.mean(figures)
            wrong.append(f"{name}: against {RIVAL!r} {mean:.1f} % are saved on average, not {LEAST_SAVING:g} %")
    return wrong


def as_json(curves: Mapping[Clip, Curves], settings: Mapping[str, Any]) -> dict[str, Any]:
    """All points, all savings, and how they were made."""
    found = {clip.name: savings(one) for clip, one in curves.items()}
    plain = {
        clip: {m: {n: s if isinstance(s, str) else asdict(s) for n, s in by.items()} for m, by in methods.items()}
        for clip, methods in found.items()
    }
    points = {
        clip.name: {
            "pixels": clip.num_pixels,
            "curves": {
                m: [asdict(p) | {"bits_per_pixel": p.payload_bits / clip.num_pixels} for p in one]
                for m, one in by.items()
            },
        }
        for clip, by in curves.items()
    }
    return {"settings": dict(settings), "clips": points, "savings": plain, "failures": failures(found)}


def as_markdown(curves: Mapping[Clip, Curves]) -> str:
    """The savings and the points that count, as tables."""
    lines = _saving_table({clip: savings(one) for clip, one in curves.items()})
    lines += ["| clip | codec | PSNR, dB | payload, bits per pixel | container, bytes | settings |", "|" + "---|" * 6]
    for clip, one in curves.items():
        for method, points in one.items():
            for point in best(method, points, "payload"):
                said = ", ".join(f"{name} {value:g}" for name, value in point.settings.items())
                bits = f"{point.payload_bits / clip.num_pixels:.4f} | {point.container_bits // 8}"
                lines.append(f"| {clip.name} | {method} | {point.psnr:.2f} | {bits} | {said} |")
    return "\n".join(lines) + "\n"


def as_png(curves: Mapping[Clip, Curves]) -> bytes:
    """PSNR over bits of payload per pixel, a panel per clip; of a sweep all points, faint, and the hull."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(curves), 4.4), layout="constrained")
    for panel, (clip, one) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True):
        for method, points in one.items():
            style = {"markersize": 4, "linewidth": 1.3, **_STYLES[method]}
            if method in SWEPT:
                panel.plot(*_columns(points, clip), ".", color=style["color"], alpha=0.25, markersize=3)
            panel.plot(*_columns(best(method, points, "payload"), clip), label=method, **style)
        panel.set(title=clip.name, xscale="log", xlabel="payload, bits per pixel", ylabel="PSNR of RGB, dB")
        panel.grid(alpha=0.3, which="both")
        panel.legend(fontsize=7)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def _columns(points: Sequence[Point], clip: Clip) -> tuple[list[float], list[float]]:
    return [point.payload_bits / clip.num_pixels for point in points], [point.psnr for point in points]


def _saving_table(found: Mapping[Clip, Mapping[str, Mapping[str, Saving | str]]]) -> list[str]:
    names = list(RATES)
    rows = []
    for clip, methods in found.items():
        for method, by in methods.items():
            cells = " | ".join(_said(by[name]) for name in names)
            rows.append(f"| {clip.name} | {method} | {cells} |")
    if not rows:
        return []
    heads = " | ".join(f"saved, {name}" for name in names)
    return [f"| clip | {RATE} against | {heads} |", "|" + "---|" * (2 + len(names)), *rows, *_means(found), ""]


def _means(found: Mapping[Clip, Mapping[str, Mapping[str, Saving | str]]]) -> list[str]:
    """A row of means for every codec that all clips have figures against."""
    methods = list(next(iter(found.values())))
    rows = []
    for method in methods:
        cells = []
        for name in RATES:
            figures = [by[method][name] for by in found.values()]
            known = [one.percent for one in figures if isinstance(one, Saving)]
            cells.append(f"{statistics.mean(known):.1f} %" if len(known) == len(found) else "not for all clips")
        rows.append(f"| mean | {method} | {' | '.join(cells)} |")
    return rows


def _said(one: Saving | str) -> str:
    if isinstance(one, str):
        return one
    return f"{one.percent:.1f} % ({one.shared[0]:.1f} to {one.shared[1]:.1f} dB, {100 * one.share:.0f} % shared)"
