"""Generated videos beside real ones: both are watched in the same way, then compared.

Shape legend
    N       videos of a kind
    F       frames of a video
    f       frames of one part of it
    H, W    height and width
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor
from tqdm import tqdm

from errors import InputError
from stylegan_v.metrics.motion.figures import median_period, table
from stylegan_v.metrics.motion.knots import at_knots
from stylegan_v.metrics.motion.panels import panels
from stylegan_v.metrics.motion.picture import save_panels
from stylegan_v.metrics.motion.recurrence import GAP
from stylegan_v.metrics.motion.report import PICTURE, as_report, write_json
from stylegan_v.metrics.motion.sets import FilmedVideos, GeneratedVideos, Videos, holds_weights, open_collection
from stylegan_v.metrics.motion.watch import VideoMotion, watch
from stylegan_v.networks import Generator
from stylegan_v.pretrained import load_generator

_APART = 1_000_003  # between seeds, so that a data set beside itself shows other videos


@dataclass(frozen=True)
class Plan:
    """How videos are watched.

    Attributes:
        num_videos: Of each kind.
        num_frames: F.
        start: Time of the first generated frame, in frames.
        distance: Between two knots, frames; None where it is not known.
        seed: Of all draws.
        chunk: Frames in memory together.
        device: Where networks and figures are computed.
    """

    num_videos: int = 16
    num_frames: int = 256
    start: float = 0.0
    distance: float | None = None
    seed: int = 0
    chunk: int = 32
    device: str = "cpu"

    @property
    def times(self) -> Float64[np.ndarray, " F"]:
        """Of the generated frames."""
        return self.start + np.arange(self.num_frames, dtype=np.float64)

    def phases(self) -> Float64[np.ndarray, " N"]:
        """Where imagined knots of real videos lie: anywhere."""
        rng = np.random.default_rng([self.seed, 3])
        return rng.integers(max(1, math.ceil(self.distance or 1)), size=self.num_videos).astype(np.float64)


@dataclass(frozen=True)
class Sides:
    """What is compared.

    Attributes:
        fake: Generated videos.
        real: Real ones, of the same size.
        labels: Where the conditions of the generated ones come from, in words.
        notes: What to know of both.
    """

    fake: Videos
    real: FilmedVideos
    labels: str
    notes: list[str]


def compare(fake: str, real: str | None, plan: Plan, out: Path) -> dict[str, Any]:
    """Watches both kinds of videos; leaves motion.json and motion.png.

    Args:
        fake: A model, or videos.
        real: Videos, or something whose data are meant; None: the data of ``fake``.
        plan: How.
        out: Folder, made where it is missing.

    Returns:
        The report.
    """
    sides, plan = open_sides(fake, real, plan)
    _prepare(out)
    seen = _watch_both(sides, plan)

    curves = panels(*seen, distance=plan.distance)
    origin = {"fake": fake, "real": real or f"data of {fake}"}
    report = as_report(
        protocol={**origin, **vars(plan), "resolution": sides.real.resolution, "labels": sides.labels},
        rows=table(*seen, plan.seed),
        notes=[*sides.notes, *_notes(plan, *seen)],
        curves={panel.title: panel.values() for panel in curves},
    )
    save_panels(out / PICTURE, curves)
    write_json(out, report)
    return report


def open_sides(fake: str, real: str | None, plan: Plan) -> tuple[Sides, Plan]:
    """What is compared, and the plan with the distance of knots that a generator says; arguments as `compare`."""
    path = Path(fake).expanduser()
    if not holds_weights(path):
        return _open_videos(path, real, plan), plan
    generator = load_generator(path).to(plan.device)
    if plan.distance is None:
        plan = replace(plan, distance=getattr(generator.synthesis.motion, "distance", None))
    collection = open_collection(path if real is None else Path(real).expanduser(), plan.num_frames)
    filmed = FilmedVideos(collection, plan.num_frames, generator.resolution, plan.seed, name=real or fake)
    c, labels = _labels(generator, filmed, plan)
    made = GeneratedVideos(generator, plan.times, plan.seed, c)
    return Sides(made, filmed, labels, _repeats(filmed, "real", plan)), plan


def _open_videos(path: Path, real: str | None, plan: Plan) -> Sides:
    """Generated videos that are files."""
    if real is None and path.exists():
        raise InputError(f"fake: {path}: holds no weights, and as videos they need --real to be compared with")
    given, other_order = open_collection(path, plan.num_frames), plan.seed + _APART
    made = FilmedVideos(given, plan.num_frames, None, other_order, True, name=str(path))
    collection = open_collection(Path(real).expanduser(), plan.num_frames)
    filmed = FilmedVideos(collection, plan.num_frames, made.resolution, plan.seed, name=real)
    return Sides(made, filmed, "none", [*_repeats(made, "fake", plan), *_repeats(filmed, "real", plan)])


def _repeats(filmed: FilmedVideos, kind: str, plan: Plan) -> list[str]:
    if filmed.num_usable >= plan.num_videos:
        return []
    return [f"{kind}: only {filmed.num_usable} videos are long enough, so some are seen more than once"]


def _prepare(out: Path) -> None:
    """Makes the folder, and finds out before the work whether files can be left there."""
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK):
        raise InputError(f"out: {out}: no permission to write there: choose another folder")


def _labels(generator: Generator, filmed: FilmedVideos, plan: Plan) -> tuple[Float32[Tensor, "N c_dim"] | None, str]:
    """Conditions for generated videos, and what to say of them."""
    if not generator.c_dim:
        return None, "none"
    c = filmed.labels(plan.num_videos)
    return (c, "those of the real videos") if c.shape[1] == generator.c_dim else (None, "all classes equally")


def _watch_both(sides: Sides, plan: Plan) -> tuple[list[VideoMotion], list[VideoMotion]]:
    """The generated videos at their knots, the real ones at imagined ones."""
    with tqdm(total=2 * plan.num_videos * plan.num_frames, unit="frame", desc="watching", disable=None) as bar:
        nowhere = np.zeros(plan.num_videos)
        from_zero = np.arange(plan.num_frames, dtype=np.float64)
        return (
            _watch_all(sides.fake, plan.times, nowhere, plan, bar.update),
            _watch_all(sides.real, from_zero, plan.phases(), plan, bar.update),
        )


def _watch_all(
    videos: Videos,
    times: Float64[np.ndarray, " F"],
    phases: Float64[np.ndarray, " N"],
    plan: Plan,
    progress: Callable[[int], Any],
) -> list[VideoMotion]:
    seen = []
    for number, phase in enumerate(phases.tolist()):
        counted = times + phase
        knots = np.zeros(len(times) - 2, dtype=bool) if plan.distance is None else at_knots(counted, plan.distance)
        seen.append(watch(_counting(videos.parts(number, plan.chunk), plan.device, progress), counted, knots))
    return seen


def _counting(
    parts: Iterator[UInt8[Tensor, "f 3 H W"]], device: str, progress: Callable[[int], Any]
) -> Iterator[UInt8[Tensor, "f 3 H W"]]:
    for part in parts:
        yield part.to(device)
        progress(len(part))


def _notes(plan: Plan, fake: Sequence[VideoMotion], real: Sequence[VideoMotion]) -> list[str]:
    """What is behind the table, and why some of it cannot be told."""
    notes = []
    for kind, videos in (("fake", fake), ("real", real)):
        if not math.isnan(period := median_period(videos)):
            notes.append(f"looping, {kind}: the period is {period:.1f} frames in the middle of the looping videos")
        if undirected := sum(not video.has_direction for video in videos):
            notes.append(
                f"reversal, {kind}: {undirected} of {len(videos)} have no clear direction and count as not reversing"
            )
    knots = np.stack([video.knots for video in fake])
    if plan.distance is None:
        notes.append("knot jump: it is not known how far knots are apart: give --distance")
    elif not knots.any():
        notes.append(f"knot jump: no knot, of one every {plan.distance:g} frames, is inside: give more --num_frames")
    elif knots.all():
        notes.append(f"knot jump: with a knot every {plan.distance:g} frames nothing between them can be compared")
    if plan.num_frames < GAP + 2:
        notes.append(f"recurrence: needs {GAP + 2} frames or more: give more --num_frames")
    return notes
