"""Flags that are given, by the names of settings."""

from __future__ import annotations

import math
from typing import Any

import pytest

from errors import InputError
from stylegan_v.official.flags import Flags


def test_only_what_is_given_counts_and_the_clamp_is_that_of_both_networks() -> None:
    assert Flags().given() == {}
    flags = Flags(motion_z_distance=8, conv_clamp=64, data="videos")
    assert flags.given() == {"motion_z_distance": 8, "g_conv_clamp": 64, "d_conv_clamp": 64, "data": "videos"}
    assert Flags(conv_clamp="none").given() == {"g_conv_clamp": None, "d_conv_clamp": None}


@pytest.mark.parametrize(
    "flag",
    [
        {"motion_z_distance": 0},
        {"mbstd_group_size": -1},
        {"fps": math.nan},
        {"fps": math.inf},
        {"conv_clamp": 0},
        {"conv_clamp": math.inf},
    ],
)
def test_impossible_numbers_are_refused_by_name(flag: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"^{next(iter(flag))}: "):
        Flags(**flag).given()
