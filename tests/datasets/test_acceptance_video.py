"""The video that fields are compared on, against its formulas pixel by pixel."""

from __future__ import annotations

import math

import pytest

from datasets.acceptance_video import acceptance_video
from errors import InputError


def test_every_value_is_that_of_the_formula() -> None:
    video = acceptance_video(5, (9, 12))
    assert video.shape == (5, 3, 9, 12)
    for frame, row, column in [(0, 0, 0), (1, 3, 7), (2, 4, 6), (4, 8, 11), (3, 5, 9), (4, 4, 9)]:
        s, v, u = frame / 4, row / 8, column / 11
        disc = (u - 0.2 - 0.6 * s) ** 2 + (v - 0.5) ** 2 < 0.04
        expected = (
            0.5 + 0.5 * math.sin(2 * math.pi * (3 * u + s)),
            0.5 + 0.5 * math.sin(2 * math.pi * (5 * v - 2 * s)),
            1.0 if disc else 0.5 * ((row // 4 + column // 4) % 2),
        )
        assert video[frame, :, row, column].tolist() == [round(255 * value) for value in expected]


@pytest.mark.parametrize(("frames", "size"), [(1, (9, 9)), (4, (1, 9)), (4, (9, 1))])
def test_smaller_ones_are_refused(frames: int, size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="at least 2"):
        acceptance_video(frames, size)
