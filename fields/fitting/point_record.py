"""What is measured of a fit to points, and how it is shown."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from datasets.point_signal import PointSignal
from fields.fitting.keeping import add_line, add_picture, add_scalars, size_of
from fields.fitting.pictures import compared
from fields.fitting.plots import plot

if TYPE_CHECKING:
    from fields.fitting.points import PointFitting


class PointRecord:
    """Measures a fit at all points, trained on or not."""

    def take(self, fitting: PointFitting) -> str:
        """Measures and keeps; gives the figures in a line.

        Args:
            fitting: The fit.
        """
        signal, found = fitting.data.signal, fitting.everywhere()
        counts = {"updates": fitting.updates, "points": len(found), "returns": fitting.guard.restores}
        line = {**counts, **size_of(fitting.model), **figures(signal, found)}
        if fitting.trainer.is_global_zero:
            add_line(Path(fitting.trainer.default_root_dir), line)
            add_scalars(fitting.trainer, {f"fit/{name}": value for name, value in line.items()}, fitting.updates)
            picture = _picture(signal, found) if len(signal.size) == 2 else _curves(signal, found)
            add_picture(fitting, "fit", picture)
        return _words(line)


def figures(signal: PointSignal, found: Float[Tensor, "N C"]) -> dict[str, Any]:
    """Mean squared error of the original values, and PSNR of their range in dB (None where nothing differs).

    ``psnr`` is of all points; where only some were trained on, ``psnr_trained`` is of these and ``psnr_held_out`` of
    the others.

    Args:
        signal: What it was fitted to.
        found: What the field gives.
    """
    squares = (found.double() - signal.values.cpu().double()).square().mean(dim=1) / signal.unit**2
    trained = signal.trained.cpu()
    line = {"mse": float(squares.mean()), "psnr": _psnr(squares, torch.ones_like(trained), signal.span)}
    if not trained.all():
        line["psnr_trained"] = _psnr(squares, trained, signal.span)
        line["psnr_held_out"] = _psnr(squares, ~trained, signal.span)
    return line


def _psnr(squares: Float[Tensor, " N"], chosen: Bool[Tensor, " N"], span: float) -> float | None:
    error = float(squares[chosen].mean())
    return 10 * math.log10(span**2 / error) if error > 0 else None


def _picture(signal: PointSignal, found: Float[Tensor, "N C"]) -> np.ndarray:
    target, result = (
        rearrange((values.cpu() + 1) / 2, "(h w) c -> c h w", h=signal.size[0]) for values in (signal.values, found)
    )
    return compared(target, result)


def _curves(signal: PointSignal, found: Float[Tensor, "N C"]) -> np.ndarray:
    order = signal.positions[:, 0].cpu().argsort(stable=True)
    x = signal.positions[:, 0].cpu()[order].tolist()
    rows = {"target": signal.values.cpu(), "fit": found}
    return plot("values over samples", {name: (x, values[order, 0].tolist()) for name, values in rows.items()})


def _words(line: dict[str, Any]) -> str:
    """A measurement in a line, for the log."""
    parts = [f"{name} {value:.4g}" for name, value in line.items() if isinstance(value, float)]
    return "  ".join([f"update {line['updates']}:", *parts, f"({line['points']} points)"])
