"""What is said of reconstructed videos: figures per frame, averages, the worst frames, mean and spread over videos.

Shape legend
    F       frames
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from errors import InputError
from fields.reconstruction.frames import check_pair
from fields.reconstruction.measures import LOWER_IS_BETTER, Measure
from fields.reconstruction.psnr import average_psnr, psnr_of_mean_mse

SPREAD = "standard deviation over videos, with n - 1; none for a single video"


@dataclass
class Reconstruction:
    """Figures of one video.

    Attributes:
        name: Of the video.
        size: Height and width of its frames; None before the first.
        frames: A figure for every frame, by measure: float64 [F].
        missing: By measure, why there are none.
        num_frames: How many were compared.
    """

    name: str
    size: tuple[int, int] | None = None
    frames: dict[str, np.ndarray] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    num_frames: int = 0

    def mean(self, measure: str) -> float:
        """The video's figure: the mean over frames, for PSNR over those that are not exact (`average_psnr`)."""
        values = self.frames[measure]
        return average_psnr(torch.from_numpy(values))[0] if measure == "psnr" else float(values.mean())

    @property
    def num_exact(self) -> int:
        """Frames whose PSNR is infinite, because they equal the original."""
        return int(np.isinf(self.frames["psnr"]).sum()) if "psnr" in self.frames else 0

    def worst(self, measure: str, count: int = 3) -> list[tuple[int, float]]:
        """The frames that are reconstructed worst, worst first: their numbers and figures."""
        values = self.frames[measure]
        order = np.argsort(-values if measure in LOWER_IS_BETTER else values, kind="stable")
        return [(int(index), float(values[index])) for index in order[:count]]

    def record(self) -> dict[str, Any]:
        """All of it as plain values for JSON; an infinite figure is the text "inf"."""
        figures = {
            name: {
                "mean": plain(self.mean(name)),
                "worst": [{"frame": index, "value": plain(value)} for index, value in self.worst(name)],
                "frames": [plain(value) for value in values.tolist()],
            }
            for name, values in self.frames.items()
        }
        if "psnr" in figures:
            pooled = psnr_of_mean_mse(torch.from_numpy(self.frames["psnr"]))
            figures["psnr"] |= {"exact_frames": self.num_exact, "psnr_of_mean_mse": plain(pooled)}
        return {
            "name": self.name,
            "num_frames": self.num_frames,
            "size": list(self.size or ()),
            "figures": figures,
            "missing": self.missing,
        }


def compare(
    name: str,
    pairs: Iterable[tuple[Tensor, Tensor]],
    measures: Sequence[Measure],
    progress: Callable[[int], None] | None = None,
) -> Reconstruction:
    """Compares a video with its original, chunk by chunk; how it is cut changes no digit.

    Args:
        name: Of the video, for the report.
        pairs: Result and reference, [F, 3, H, W] in [0, 1], a chunk of frames after another.
        measures: What to compute. One that refuses these frames is noted as missing; the others go on.
        progress: Is told the number of frames of every chunk that is done.

    Raises:
        InputError: No frames, or frames that cannot be compared.
    """
    video = Reconstruction(name)
    found: dict[str, list[Tensor]] = {measure.name: [] for measure in measures}
    for result, reference in pairs:
        check_pair(result, reference)
        _same_size(video, tuple(result.shape[-2:]))
        for measure in measures:
            if measure.name not in video.missing:
                _add(video, measure, found[measure.name], result, reference)
        video.num_frames += len(result)
        if progress is not None:
            progress(len(result))
    if not video.num_frames:
        raise InputError(f"{name}: no frames to compare")
    video.frames = {key: torch.cat(parts).numpy() for key, parts in found.items() if key not in video.missing}
    return video


def _same_size(video: Reconstruction, size: tuple[int, int]) -> None:
    if video.size not in (None, size):
        raise InputError(f"{video.name}: frames of {video.size} and {size}: give frames of one size")
    video.size = size


def _add(video: Reconstruction, measure: Measure, parts: list[Tensor], result: Tensor, reference: Tensor) -> None:
    """Adds a measure's figures of a chunk, or notes why it has none."""
    try:
        parts.append(measure.compute(result, reference).cpu())
    except InputError as refusal:
        video.missing[measure.name] = str(refusal)


def over_videos(videos: Sequence[Reconstruction]) -> dict[str, dict[str, Any]]:
    """Mean and spread over videos of each video's figure, by measure; over the videos that have it.

    Args:
        videos: At least one.
    """
    names = dict.fromkeys(name for video in videos for name in video.frames)
    return {name: _spread([video.mean(name) for video in videos if name in video.frames]) for name in names}


def _spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean and standard deviation; a video without any error has no finite PSNR and is counted apart."""
    finite = [value for value in values if math.isfinite(value)]
    mean = float(np.mean(finite)) if finite else math.inf
    std = float(np.std(finite, ddof=1)) if len(finite) > 1 else None
    return {
        "mean": plain(mean),
        "std": plain(std),
        "num_videos": len(values),
        "exact_videos": len(values) - len(finite),
    }


def as_report(
    videos: Sequence[Reconstruction],
    measures: Sequence[Measure],
    missing: Mapping[str, str],
    compared: Mapping[str, str],
) -> dict[str, Any]:
    """The whole report as plain values.

    Args:
        videos: At least one.
        measures: What was computed.
        missing: By measure, why it could not start.
        compared: What was compared: "reference" and "result".
    """
    return {
        **compared,
        "conventions": {measure.name: measure.convention for measure in measures},
        "lower_is_better": [measure.name for measure in measures if measure.lower_is_better],
        "missing": dict(missing),
        "over_videos": over_videos(videos),
        "spread": SPREAD,
        "videos": [video.record() for video in videos],
    }


def plain(value: float | None) -> float | str | None:
    """A number as JSON can hold it."""
    return value if value is None or math.isfinite(value) else str(value)
