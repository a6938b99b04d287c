from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylegan_v.metrics.motion.picture import Curve, Panel, draw_panel, save_panels

X = np.linspace(0.0, 10.0, 50)
RED, BLUE = (200, 60, 40), (30, 100, 200)


def panel(*curves: np.ndarray) -> Panel:
    return Panel("title", "axis", [Curve(label, X, y) for label, y in zip(("fake", "real"), curves, strict=False)])


def places(picture: Image.Image, colour: tuple[int, int, int]) -> np.ndarray:
    """(row, column) of the pixels of a colour inside the diagram, below the legend."""
    found = np.argwhere((np.asarray(picture) == colour).all(axis=2))
    return found[found[:, 0] >= 80]


def test_curves_lie_where_their_values_are() -> None:
    picture = draw_panel(panel(X, 10 - X))
    rising, falling = places(picture, RED), places(picture, BLUE)
    rising, falling = rising[rising[:, 1].argsort()], falling[falling[:, 1].argsort()]
    assert rising[0, 0] > rising[-1, 0] and falling[0, 0] < falling[-1, 0]
    # Both span the whole diagram, left to right and bottom to top.
    for found in (rising, falling):
        assert np.ptp(found[:, 1]) == pytest.approx(2 * (460 - 64 - 16), abs=4)
        assert np.ptp(found[:, 0]) == pytest.approx(2 * (300 - 40 - 44), abs=4)


def test_gaps_stay_empty_and_constants_are_drawn() -> None:
    gap = np.where((X > 4) & (X < 6), np.nan, 1.0)
    columns = places(draw_panel(panel(gap)), RED)[:, 1]
    assert np.diff(np.unique(columns)).max() > 100


def test_panels_stand_two_in_a_row(tmp_path: Path) -> None:
    save_panels(tmp_path / "a.png", [panel(X, X)] * 3)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (4 * 460, 4 * 300) and picture.format == "PNG"
    save_panels(tmp_path / "a.png", [panel(X)])
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (2 * 460, 2 * 300)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_values_of_a_panel() -> None:
    assert panel(X, 2 * X).values()["real"] == {"x": X.tolist(), "y": (2 * X).tolist()}
