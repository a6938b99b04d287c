"""A protocol and a feature network for which a score takes milliseconds, and a program that trains with it.

python -m tests.stylegan_v.quick_scores ARGUMENTS                   train.py, with this network as random_3d
SPOILT=features python -m tests.stylegan_v.quick_scores ARGUMENTS  the same, where it fails once, on the second rank
SPOILT=measure python -m tests.stylegan_v.quick_scores ARGUMENTS   the same, where that rank fails before it computes
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

NUM = 6


class Colours:
    """Mean colours of the halves of a clip: their sums and differences."""

    name, digest, caveat, unit, min_frames = "random_3d", "definition:colours", "for tests", "clip", 2

    def to(self, device: torch.device | str) -> Colours:
        return self

    def features(self, clips: Tensor) -> Tensor:
        means = rearrange(clips.double(), "b (half t) c h w -> half b c (t h w)", half=2).mean(-1)
        return (torch.cat([means[0] + means[1], means[0] - means[1]], dim=1) / 255).float()

    def probabilities(self, clips: Tensor) -> Tensor:
        raise NotImplementedError


def load_colours(name: str, path: Any = None, cache_dir: Any = None, device: Any = "cpu") -> Colours:
    assert name == "random_3d"
    return Colours()


def protocol(
    folder: Path,
    name: str = "quick",
    measure: str = "kernel: {}",
    detector: str = "random_3d",
    num_frames: int = 4,
) -> str:
    """Path of a protocol of a few clips."""
    path = folder / f"{name}.yaml"
    path.write_text(
        f"about: for tests\ndetector: {detector}\nmeasure: {{{measure}}}\nclip: {{num_frames: {num_frames}}}\n"
        f"real: {{max_num: {NUM}, order: random}}\nfake: {{num: {NUM}, starts: as_real, late_starts: [100]}}\n"
        "num_draws: 2\n"
    )
    return str(path)


class Spoilt:
    """Does something, except for the first time on the second rank, where it fails."""

    def __init__(self, do: Callable[..., Any]) -> None:
        self.do, self.asked = do, False

    def __call__(self, *args: Any, **settings: Any) -> Any:
        first, self.asked = not self.asked, True
        if first and os.environ.get("LOCAL_RANK") == "1":
            raise ZeroDivisionError("spoilt on this rank")
        return self.do(*args, **settings)


if __name__ == "__main__":
    import train
    from stylegan_v.callbacks import scoring
    from stylegan_v.metrics.detectors import table

    table.load_detector = load_colours
    if os.environ.get("SPOILT") == "features":
        Colours.features = Spoilt(partial(Colours.features, Colours()))
    if os.environ.get("SPOILT") == "measure":
        scoring.measure = Spoilt(scoring.measure)
    train.main()
