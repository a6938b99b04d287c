"""What a network of factors reached on clips of scenes that it never saw, beside what needs no network.

Shape legend
    B       clips
    K       classes
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stylegan_v.metrics.controls import frozen, shuffled
from stylegan_v.metrics.detectors.factors import CLASSES, VALUES, FactorDetector
from stylegan_v.metrics.factors.clips import draw_batch
from stylegan_v.metrics.factors.truth import SCALES, UNITS
from stylegan_v.metrics.frechet import frechet_distance

_GROUP = 64  # clips that are drawn together
SANITY = ("floor", "frozen", "shuffled", "reversed")


@dataclass(frozen=True)
class Score:
    """How well a factor is told.

    Args:
        value: Share of the clips told right; of values the root of the mean squared error.
        chance: The same for the best answer that does not look at the clip.
        unit: Of a value; empty for a share.
    """

    value: float
    chance: float
    unit: str = ""


def held_out_scores(detector: FactorDetector, seed: int, num: int) -> dict[str, Score]:
    """Scores on ``num`` held-out clips of the kinds that training shows."""
    told: dict[str, list[Tensor]] = {}
    truth: dict[str, list[Tensor]] = {}
    for first in range(0, num, _GROUP):
        batch = draw_batch(seed, first, min(_GROUP, num - first), held_out=True)
        for name, value in detector.network.tell(detector.features(batch.clips)).items():
            told.setdefault(name, []).append(value.cpu())
            truth.setdefault(name, []).append(batch.truth[name])
    return scores_of(
        {name: torch.cat(parts) for name, parts in told.items()}, {k: torch.cat(v) for k, v in truth.items()}
    )


def scores_of(told: dict[str, Tensor], truth: dict[str, Tensor]) -> dict[str, Score]:
    """Scores of what is told, logits and values, against the truth."""
    found = {name: class_score(told[name], truth[name]) for name in CLASSES}
    return found | {name: value_score(told[name], truth[name], SCALES[name], UNITS[name]) for name in VALUES}


def class_score(told: Float[Tensor, "B K"], truth: Float[Tensor, "B K"]) -> Score:
    """Over the clips that show one class only; chance is to say the most frequent one."""
    certain = truth.amax(dim=1) > 0.999
    if not certain.any():
        return Score(0.0, 0.0)
    classes = truth[certain].argmax(dim=1)
    right = (told[certain].argmax(dim=1) == classes).double().mean()
    return Score(float(right), float(classes.bincount().max() / len(classes)))


def value_score(told: Float[Tensor, "B K"], truth: Float[Tensor, "B K"], scale: float, unit: str) -> Score:
    """Over the clips that show the value; chance is to say the mean."""
    known = ~truth.isnan().any(dim=1)
    if not known.any():
        return Score(0.0, 0.0, unit)
    told, truth = told[known].double(), truth[known].double()
    error, spread = (told - truth).square().mean().sqrt(), (truth - truth.mean(dim=0)).square().mean().sqrt()
    return Score(float(error * scale), float(spread * scale), unit)


def sanity(detector: FactorDetector, seed: int, num: int) -> dict[str, float]:
    """Frechet distances of held-out clips to ``num`` others: as they are (the floor), frozen, shuffled, reversed.

    All run forwards from the beginning of their scenes, where the direction of time can be told.
    """
    rng = np.random.default_rng(seed & 0xFFFFFFFF)
    found: dict[str, list[Tensor]] = {name: [] for name in ("real", *SANITY)}
    for first in range(0, num, _GROUP):
        size = min(_GROUP, num - first)
        real, clips = (draw_batch(seed, start, size, held_out=True, plain=True).clips for start in (first, num + first))
        seen = [real, clips, frozen(clips, rng), shuffled(clips, rng), clips.flip(1)]
        for name, group in zip(found, seen, strict=True):
            found[name].append(detector.features(group).cpu())
    features = {name: torch.cat(parts) for name, parts in found.items()}
    return {name: float(frechet_distance(features["real"], features[name])) for name in SANITY}


def as_text(scores: dict[str, Score], distances: dict[str, float]) -> str:
    """Both as tables for people."""
    lines = ["factor        held out    chance"]
    for name, score in scores.items():
        if score.unit:
            lines.append(f"{name:<12}{score.value:>10.4f}{score.chance:>10.4f}  {score.unit} (root mean squared error)")
        else:
            lines.append(f"{name:<12}{score.value:>10.1%}{score.chance:>10.1%}  right")
    lines += ["", "Frechet distance of held-out clips to others", "clips         distance  times the floor"]
    for name, distance in distances.items():
        label = "as they are" if name == "floor" else name
        lines.append(f"{label:<12}{distance:>10.4g}{distance / distances['floor']:>10.3g}")
    return "\n".join(lines) + "\n"
