"""The augmentation pipe against recordings of the original, its draws fixed; every file with `augment/` keys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegan_v.augment import AugmentPipe
from stylegan_v.augment.axes import LOWPASS
from stylegan_v.augment.corruptions import filter_bank
from stylegan_v.augment.draws import UNIFORM
from tests.conformance.recordings import Recording, folder, relative_error

TOLERANCE = 2e-5


def _parameters(what: str, keys: list[tuple[Path, str]]) -> list:
    if not keys:
        reason = f"the set {folder('stylegan_v')} has no {what}"
        return [pytest.param(None, "", id=what, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(path, key, id=f"{path.stem}-{key}") for path, key in keys]


def _keys(prefix: str, suffix: str) -> list[tuple[Path, str]]:
    files = sorted(folder("stylegan_v").glob("*.npz"))
    named = [(path, key) for path in files for key in np.load(path, allow_pickle=False).files]
    return [(path, key) for path, key in named if key.startswith(prefix) and key.endswith(suffix)]


class FixedDraws:
    """Every uniform draw is the quantile q; normal ones are erfinv(2q - 1); the second rotation is none.

    Args:
        batch: Number of clips.
        quantile: In (0, 1).
    """

    def __init__(self, batch: int, quantile: float) -> None:
        self.batch, self.quantile = batch, quantile

    def uniform(self, name: str, *shape: int) -> Tensor:
        draws = torch.full((self.batch, *shape), self.quantile, dtype=torch.float64)
        if name == "augment/uniform":
            draws[..., UNIFORM.index("rotate_after")] = 0.5
        return draws

    def normal(self, name: str, *shape: int) -> Tensor:
        value = torch.erfinv(torch.tensor(2 * self.quantile - 1, dtype=torch.float64)).item()
        return torch.full((self.batch, *shape), value)


@pytest.mark.parametrize("path, key", _parameters("augmented images", _keys("augment/", "/out/y")))
def test_pipe_with_fixed_draws_gives_the_recorded_images(path: Path, key: str) -> None:
    recording, example = Recording(path), key.removesuffix("/out/y")
    params = recording.json("params_json")[example]
    images = recording[f"augment/in/{example.rsplit('/', 1)[1]}"]
    clip = images.unflatten(1, (-1, 3))  # frames are recorded as groups of three channels

    pipe = AugmentPipe("none", params["spec"])
    ours = pipe(clip, 1.0, FixedDraws(len(clip), params["percentile"]))

    assert relative_error(ours.flatten(1, 2), recording[key]) < TOLERANCE


@pytest.mark.parametrize("path, key", _parameters("low-pass filter", _keys("augment/lowpass_filter", "")))
def test_low_pass_filter_is_the_recorded_one(path: Path, key: str) -> None:
    assert relative_error(torch.tensor(LOWPASS), Recording(path)[key]) < 1e-6


@pytest.mark.parametrize("path, key", _parameters("filter bank", _keys("augment/filter_bank", "")))
def test_filter_bank_is_the_recorded_one(path: Path, key: str) -> None:
    assert relative_error(filter_bank(), Recording(path)[key]) < 1e-6
