"""What is measured of a fit to a scene, on views that it has not seen, and where it is kept.

Shape legend
    H, W    height and width of a view
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float, UInt8
from torch import Tensor

from datasets.views import Views, unit_range
from fields.fitting.keeping import Stopped, add_line, add_picture, add_scalars, evenly, size_of, words
from fields.fitting.pictures import compared, sheet
from fields.radiance.camera import RadianceField, render
from fields.radiance.rays import View
from fields.reconstruction import files, pictures, report
from fields.reconstruction.measures import Needs, open_measures
from fields.scale_scores import side_by_side, to_bytes

if TYPE_CHECKING:
    from fields.fitting.radiance import RadianceFitting

_ROWS = 4  # views that are shown
_SIDE = 256  # of a shown one
_AT_LEAST = 128  # pixels of its longer side


def shaded(
    depth: Float[Tensor, "H W"], opacity: Float[Tensor, "H W"], near: float, far: float
) -> Float[Tensor, "3 H W"]:
    """Depths as a picture: white is near, black is far or nothing.

    Args:
        depth: Distances.
        opacity: How much there is at all, in [0, 1].
        near: The least distance.
        far: The largest.
    """
    return repeat(((far - depth) / (far - near)).clamp(0, 1) * opacity, "h w -> c h w", c=3)


def beside(
    target: Float[Tensor, "3 H W"], result: Float[Tensor, "3 H W"], depth: Float[Tensor, "3 H W"]
) -> UInt8[np.ndarray, "h w 3"]:
    """A view, what was rendered, five times the difference, and the depth."""
    times = max(1, _AT_LEAST // max(depth.shape[1:]))
    grey = to_bytes(depth).repeat(times, axis=0).repeat(times, axis=1)
    left, right = compared(target, result, _SIDE), side_by_side([grey], _SIDE)
    return np.concatenate([left, np.full((len(left), 4, 3), 255, dtype=np.uint8), right], axis=1)


def psnr_where(result: Tensor, target: Tensor, hit: Tensor) -> float:
    """PSNR in dB of pixels.

    Args:
        result: Colours [H, W, 3] in [0, 1].
        target: Likewise.
        hit: Which pixels count [H, W]; nan without any.
    """
    return float(-10 * (result - target)[hit].double().square().mean().log10())


class RadianceRecord:
    """Measures a fit on test views; how these are cut into chunks of rays changes nothing.

    Args:
        num_while_training: Views that are measured where not all are.
        chunk: Rays that are seen at once.
        lpips_weights: As for `Needs`.
    """

    def __init__(self, num_while_training: int, chunk: int, lpips_weights: str | None = None) -> None:
        self.num_while_training, self.chunk, self.lpips_weights = num_while_training, chunk, lpips_weights

    def take(self, fitting: RadianceFitting, complete: bool) -> str | None:
        """Measures and keeps; gives the figures in a line, or None where it gave up.

        Args:
            fitting: The fit.
            complete: Measure all views, LPIPS too where its weights are there; else some, by what is quick.
        """
        views = fitting.data.test_views
        count = len(views) if complete else self.num_while_training
        numbers = evenly(len(views), count)
        names = ["psnr", "ssim", "lpips"] if complete else ["psnr", "ssim"]
        measures, missing = open_measures(names, Needs(lpips_weights=self.lpips_weights, device=str(fitting.device)))
        shown: list[Any] = []
        hits: dict[str, list[float]] = {}
        try:
            found = report.compare(views.name, self._pairs(fitting, numbers, shown, hits), measures)
        except Stopped:
            return None
        own = {name: np.array(values) for name, values in hits.items()}
        line = {"updates": fitting.updates, "views": len(numbers), "returns": fitting.guard.restores}
        line |= size_of(fitting.model)
        line |= {name: _mean_and_spread(values) for name, values in (found.frames | own).items()}
        if fitting.trainer.is_global_zero:
            self._keep(fitting, line, shown)
            if complete:
                about = {"reference": views.name, "result": f"update {fitting.updates}"}
                said = report.as_report([found], measures, missing, about)
                said["hit_pixels"] = {name: values.tolist() for name, values in own.items()}
                files.save(Path(fitting.trainer.default_root_dir), said, pictures.draw([found]))
        return words(line, "views")

    def _pairs(
        self, fitting: RadianceFitting, numbers: Sequence[int], shown: list[Any], hits: dict[str, list[float]]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Rendered views and true ones, one by one; notes pictures, and what only hit pixels tell."""
        views, device = fitting.data.test_views, fitting.device
        chosen = set(evenly(len(numbers), _ROWS))
        for place, number in enumerate(numbers):
            if fitting.asked_to_stop():
                raise Stopped
            seen = self.look(fitting.model, views, number, device)
            rgb, depth = seen.rgb.float().clamp(0, 1), seen.depth.float()
            target = unit_range(views.rgb[number]).to(device)
            if views.depth is not None:
                exact = views.depth[number].to(device)
                hit = exact >= 0
                hits.setdefault("psnr_hit", []).append(psnr_where(rgb, target, hit))
                hits.setdefault("depth_error", []).append(float((depth - exact)[hit].abs().mean()))
            result, reference = (rearrange(picture, "h w c -> c h w") for picture in (rgb, target))
            if place in chosen:
                shown.append(beside(reference, result, shaded(depth, seen.opacity.float(), views.near, views.far)))
            yield result[None], reference[None]

    def look(self, model: RadianceField, views: Views, number: int, device: torch.device) -> View:
        """What the field shows of a view.

        Args:
            model: The field.
            views: How it is looked at.
            number: Of the view.
            device: Where the field is.
        """
        time = None if views.times is None else float(views.times[number])
        where = views.c2w[number].to(device), views.size, views.focal, views.near, views.far
        return render(model, *where, time, self.chunk, views.background, views.unit)

    def _keep(self, fitting: RadianceFitting, line: dict[str, Any], shown: Sequence[np.ndarray]) -> None:
        add_line(Path(fitting.trainer.default_root_dir), line)
        means = {f"fit/{name}": value["mean"] for name, value in line.items() if isinstance(value, dict)}
        add_scalars(fitting.trainer, means, fitting.updates)
        add_picture(fitting, "target_result_error_depth", sheet(shown))


def _mean_and_spread(values: np.ndarray) -> dict[str, Any]:
    """Over views; those whose figure is not finite (exact ones, or without hit pixels) are left out."""
    finite = values[np.isfinite(values)]
    mean = float(finite.mean()) if len(finite) else math.nan
    return {"mean": report.plain(mean), "std": float(finite.std(ddof=1)) if len(finite) > 1 else None}
