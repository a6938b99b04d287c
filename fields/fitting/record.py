"""What is measured of a fit, and where it is kept: the run folder, TensorBoard, the log.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch import Tensor

from datasets.files import atomic_path, write_json
from fields.fitting.keeping import SAMPLES, Stopped, add_line, evenly, size_of, words
from fields.fitting.pictures import add_moving, compared, moving, sheet
from fields.fitting.regions import Regions, draw
from fields.reconstruction import files, frames, pictures, report
from fields.reconstruction.measures import Measure, Needs, open_measures

if TYPE_CHECKING:
    from fields.fitting.video import FieldFitting

REGIONS = "regions.json"
_TOGETHER = 2**21  # pixels of frames that are measured together
_ROWS, _MOVING = 3, 48  # frames that are shown
_SIDE = 256  # of a moving one


class FitRecord:
    """Measures a fit; how frames are cut into chunks changes nothing.

    Args:
        num_while_training: Frames that are measured where not all are.
        chunk: Pixels that are evaluated at once.
        lpips_weights: As for `Needs`.
    """

    def __init__(self, num_while_training: int, chunk: int, lpips_weights: str | None = None) -> None:
        self.num_while_training, self.chunk, self.lpips_weights = num_while_training, chunk, lpips_weights

    def take(self, fitting: FieldFitting, all_frames: bool, asked_to_stop: Callable[[], bool]) -> str | None:
        """Measures and keeps; gives the figures in a line, or None where it gave up.

        Args:
            fitting: The fit.
            all_frames: Measure all, LPIPS too where its weights are there; else some, by what is quick.
            asked_to_stop: Whether to give up.
        """
        total = fitting.data.signal.size[0]
        count = total if all_frames else self.num_while_training
        numbers = evenly(total, count)
        shown: dict[int, Any] = {}
        regions = None if fitting.data.signal.visible is None else Regions(fitting.data.signal)
        try:
            found, measures, missing = self.measure(fitting, numbers, all_frames, shown, asked_to_stop, regions)
        except Stopped:
            return None
        counts = {"updates": fitting.updates, "frames": len(numbers), "returns": fitting.guard.restores}
        counts |= size_of(fitting.model)
        figures = _figures(found) if fitting.data.signal.truth_known else {}  # else they would be of damage
        if regions is not None:
            figures |= regions.figures(found.frames.get("ssim"), numbers)
        line = {**counts, **figures}
        if fitting.trainer.is_global_zero:
            self._keep(fitting, line, shown)
            if all_frames:
                self._keep_all(fitting, found, measures, missing, regions)
        return words(line, "frames")

    def _keep_all(
        self,
        fitting: FieldFitting,
        found: report.Reconstruction,
        measures: list[Measure],
        missing: dict[str, str],
        regions: Regions | None,
    ) -> None:
        """Keeps the figures of every frame."""
        folder = Path(fitting.trainer.default_root_dir)
        if fitting.data.signal.truth_known:
            about = {"reference": fitting.data.signal.name, "result": f"update {fitting.updates}"}
            files.save(folder, report.as_report([found], measures, missing, about), pictures.draw([found]))
        if regions is not None:
            write_json(folder / REGIONS, {"updates": fitting.updates, **regions.record()})

    def measure(
        self,
        fitting: FieldFitting,
        numbers: Sequence[int],
        all_measures: bool,
        shown: dict[int, Any],
        asked_to_stop: Callable[[], bool],
        regions: Regions | None = None,
    ) -> tuple[report.Reconstruction, list[Measure], dict[str, str]]:
        """Figures of every frame.

        Args:
            fitting: The fit.
            numbers: Of the frames.
            all_measures: LPIPS, too.
            shown: Gets pictures of some of them, by their places among the numbers.
            asked_to_stop: Whether to give up.
            regions: Gets figures of parts of the frames.
        """
        names = ["psnr", "ssim", "lpips"] if all_measures else ["psnr", "ssim"]
        needs = Needs(lpips_weights=self.lpips_weights, device=str(fitting.device))
        measures, missing = open_measures(names, needs)
        pairs = self._pairs(fitting, numbers, shown, asked_to_stop, regions)
        return report.compare(Path(fitting.data.signal.name).name, pairs, measures), measures, missing

    def _pairs(
        self,
        fitting: FieldFitting,
        numbers: Sequence[int],
        shown: dict[int, Any],
        asked_to_stop: Callable[[], bool],
        regions: Regions | None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        signal, device = fitting.data.signal, fitting.device
        together = max(1, _TOGETHER // (signal.size[1] * signal.size[2]))
        chosen = set(evenly(len(numbers), _MOVING))
        for start in range(0, len(numbers), together):
            if asked_to_stop():
                raise Stopped
            part = list(numbers[start : start + together])
            result = frames.from_symmetric(draw(fitting.model, signal, part, self.chunk, device).float())
            target = frames.from_bytes(signal.frames(part)).to(device)
            if regions is not None:
                regions.add(part, result, target)
            for place in chosen & set(range(start, start + len(part))):
                visible = None if signal.visible is None else signal.visible.seen([numbers[place]])[0].to(device)
                shown[place] = compared(target[place - start], result[place - start], _SIDE, visible)
            yield result, target

    def _keep(self, fitting: FieldFitting, line: dict[str, Any], shown: dict[int, Any]) -> None:
        folder, step = Path(fitting.trainer.default_root_dir), fitting.updates
        add_line(folder, line)
        in_order = [shown[place] for place in sorted(shown)]
        places = evenly(len(in_order), _ROWS)
        still, gif = sheet([in_order[place] for place in places]), moving(in_order, fitting.data.signal.fps)
        with atomic_path(folder / SAMPLES / f"fit_{step:07d}.png") as temporary:
            Image.fromarray(still).save(temporary, "PNG")
        with atomic_path(folder / SAMPLES / f"fit_{step:07d}.gif") as temporary:
            temporary.write_bytes(gif)
        scalars = {f"fit/{name}": line[name]["mean"] for name in line if isinstance(line[name], dict)}
        for logger in fitting.trainer.loggers:
            logger.log_metrics({k: v for k, v in scalars.items() if isinstance(v, float)}, step=step)
            if hasattr(logger.experiment, "add_image"):  # TensorBoard's
                logger.experiment.add_image("target_reconstruction_error", still, step, dataformats="HWC")
                add_moving(logger.experiment, "target_reconstruction_error", gif, in_order[0].shape[:2], step)


def _figures(found: report.Reconstruction) -> dict[str, dict[str, Any]]:
    """Mean and spread over the frames, by measure; exact frames, whose PSNR is infinite, are left out and counted."""
    figures = {}
    for name, values in found.frames.items():
        finite = values[np.isfinite(values)]
        spread = float(finite.std(ddof=1)) if len(finite) > 1 else None
        figures[name] = {"mean": report.plain(found.mean(name)), "std": report.plain(spread)}
    if found.num_exact:
        figures["psnr"]["exact_frames"] = found.num_exact
    return figures
