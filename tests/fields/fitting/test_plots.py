"""Curves as pictures."""

from __future__ import annotations

import math

import numpy as np

from fields.fitting.plots import plot

BLUE, RED = (30, 100, 200), (200, 70, 40)


def places(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns below the title in this colour."""
    return np.argwhere((picture[22:] == color).all(axis=2)) + np.array((22, 0))


def test_a_rising_line_runs_from_corner_to_corner() -> None:
    found = places(plot("a", {"b": ([0, 1], [5, 6])}), BLUE)
    left, right = found[found[:, 1].argmin()], found[found[:, 1].argmax()]
    assert left[0] > 220 and right[0] < 40 and left[1] < 70 and right[1] > 620


def test_curves_share_their_axes() -> None:
    picture = plot("a", {"low": ([0, 10], [0.0, 0.0]), "high": ([0, 5], [4.0, 4.0])})
    low, high = places(picture, BLUE), places(picture, RED)
    assert low[:, 0].min() > 225 and high[:, 0].max() < 40
    assert low[:, 1].max() > 620 and 320 < high[:, 1].max() < 370


def test_what_is_not_finite_is_left_out() -> None:
    bad = plot("a", {"b": ([0, 1, 2, 3], [1.0, math.nan, math.inf, 2.0])})
    assert np.array_equal(bad, plot("a", {"b": ([0, 3], [1.0, 2.0])}))
    assert plot("a", {"b": ([0], [math.nan])}).shape == (260, 640, 3)
