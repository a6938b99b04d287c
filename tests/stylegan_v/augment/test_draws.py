"""How often each transform acts."""

from __future__ import annotations

import math

import pytest

from stylegan_v.augment.draws import APPLIED, Draws
from stylegan_v.augment.settings import resolve
from stylegan_v.noise import GlobalRandom


def test_transforms_act_with_their_multiplier_times_p() -> None:
    settings, count = resolve("bgcfnc", {"hue": 0.5, "imgfilter_bands": [1, 0.2, 0, 1]}), 40000
    draws = Draws(settings, 0.6, GlobalRandom(count))
    sigma = math.sqrt(0.25 / count)
    for name, expected in {"xflip": 0.6, "hue": 0.3, "imgfilter1": 0.12, "imgfilter2": 0.0, "cutout": 0.6}.items():
        assert draws.applied[name].mean().item() == pytest.approx(expected, abs=4 * sigma), name
    unturned = (1 - draws.applied["rotate_before"]) * (1 - draws.applied["rotate_after"])
    assert unturned.mean().item() == pytest.approx(1 - 0.6, abs=4 * sigma)


def test_transforms_that_are_off_never_act() -> None:
    settings = resolve("none", {"xint": 1})
    draws = Draws(settings, 1.0, GlobalRandom(1000))
    assert {name for name in APPLIED if draws.applied[name].any()} == {"xint"}
