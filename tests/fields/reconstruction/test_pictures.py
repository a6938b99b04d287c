from __future__ import annotations

import numpy as np

from fields.reconstruction.pictures import draw, panel
from fields.reconstruction.report import Reconstruction

BLUE = (30, 100, 200)


def drawn_columns(values: list[float]) -> np.ndarray:
    """Columns of the frame of a panel in which the curve is seen."""
    image = np.asarray(panel("psnr", {"": np.array(values)}))
    return np.flatnonzero((image[24:200] == BLUE).all(axis=-1).any(axis=0))


def test_a_curve_runs_over_the_whole_panel_and_has_gaps_where_frames_are_exact() -> None:
    whole = drawn_columns([1, 2, 3, 4, 5])
    assert whole.min() <= 58 and whole.max() >= 626
    assert (np.diff(whole) == 1).all()
    gap = np.diff(drawn_columns([1, 2, np.inf, 4, 5]))
    assert gap.max() > 200 and (gap > 1).sum() == 1


def test_higher_values_lie_higher() -> None:
    image = np.asarray(panel("psnr", {"": np.array([0.0, 1.0])}))
    rows = [np.flatnonzero((image[24:200, x] == BLUE).all(axis=-1)).mean() for x in (60, 620)]
    assert rows[0] > rows[1] + 100


def test_a_panel_per_measure_and_a_line_per_video() -> None:
    one = Reconstruction("a", frames={"psnr": np.array([1.0, 2.0]), "ssim": np.array([0.5, 0.6])})
    other = Reconstruction("b", frames={"psnr": np.array([2.0, 1.0, np.inf])})
    picture = draw([one, other])
    assert picture.size == (640, 440)
    upper = np.asarray(picture)[24:200]
    assert (upper == BLUE).all(axis=-1).any() and (upper == (200, 70, 40)).all(axis=-1).any()


def test_nothing_to_draw_is_an_empty_picture() -> None:
    assert np.asarray(draw([Reconstruction("a", missing={"psnr": "why"})])).min() == 255
    exact = draw([Reconstruction("a", frames={"psnr": np.array([np.inf])})])
    assert not (np.asarray(exact)[24:200] == BLUE).all(axis=-1).any()
