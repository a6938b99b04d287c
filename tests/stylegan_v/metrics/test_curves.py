from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from stylegan_v.metrics.curves import draw_curves, draw_late, draw_scores, panel, panels, read_curves

BLUE = (30, 100, 200)


def write_events(folder: Path, steps: range, offset: float = 0.0) -> None:
    with SummaryWriter(str(folder)) as writer:
        for step in steps:
            writer.add_scalar("loss/g", offset + step, step)
            writer.add_scalar("loss/d", -step, step)


def blue(picture: Image.Image) -> np.ndarray:
    """Where a curve is, [H, W]."""
    return (np.asarray(picture) == np.array(BLUE)).all(axis=2)


def test_curves_are_read_and_what_a_resumed_run_records_again_replaces_the_old(tmp_path: Path) -> None:
    write_events(tmp_path / "first", range(6))
    write_events(tmp_path / "second", range(4, 8), offset=100)
    curves = read_curves(tmp_path)
    assert list(curves) == ["loss/d", "loss/g"]
    steps, values = curves["loss/g"]
    assert steps.tolist() == list(range(8))
    assert values.tolist() == [0, 1, 2, 3, 104, 105, 106, 107]


def test_picture_of_a_run(tmp_path: Path) -> None:
    write_events(tmp_path, range(10))
    out = tmp_path / "curves.png"
    assert draw_curves(tmp_path, out) == out
    with Image.open(out) as picture:
        assert picture.size == (640, 200)


def test_nothing_is_drawn_where_nothing_was_recorded(tmp_path: Path) -> None:
    assert draw_curves(tmp_path, tmp_path / "curves.png") is None
    assert list(tmp_path.iterdir()) == []


def test_a_straight_line_runs_from_corner_to_corner() -> None:
    picture = panel("rising", np.arange(11.0), np.arange(11.0))
    plot = blue(picture)[24:179, 58:309]
    rows, columns = np.nonzero(plot)
    assert np.abs(rows / 154 + columns / 250 - 1).max() < 0.03
    assert columns.min() <= 1 and columns.max() >= 249


def test_values_that_are_not_finite_leave_a_gap() -> None:
    values = np.ones(101)
    values[40:60] = math.nan
    plot = blue(panel("gap", np.arange(101.0), values))[24:179, 58:309]
    drawn = plot.any(axis=0)
    assert drawn[:95].all() and not drawn[102:147].any() and drawn[155:].all()


def test_a_constant_and_an_unusable_curve_are_drawn_without_complaint() -> None:
    curves = {
        str(i): (np.arange(3.0), np.full(3, value)) for i, value in enumerate([2.0, math.nan, math.inf, 0.0, 1.0])
    }
    assert panels(curves).size == (4 * 320, 2 * 200)


def _scored(updates: int, value: float, floor: float | None = 0.5, **others: Any) -> dict[str, Any]:
    sanity = None if floor is None else {"real": floor, "frozen": 9.0, "num": 8}
    return {
        "verb": "fit",
        "updates": updates,
        "kimg": updates / 4,
        "protocol": "a",
        "value": value,
        "sanity": sanity,
    } | others


def test_scores_of_training_are_drawn_with_their_floor(tmp_path: Path) -> None:
    out = tmp_path / "metrics.png"
    records = [
        _scored(4, 5.0),  # measured again below, after resuming
        _scored(8, 1.0),
        _scored(4, 3.0),
        _scored(8, 100.0, verb="test"),
        _scored(8, 2.0, None, protocol="b"),
        {"protocol": "c", "value": 7.0},  # of another command
    ]
    assert draw_scores(records, out) == out
    expected = panels(
        {"a": (np.array([1.0, 2.0]), np.array([3.0, 1.0])), "b": (np.array([2.0]), np.array([2.0]))},
        levels={"a": np.array([0.5, 0.5]), "b": np.array([math.nan])},
    )
    with Image.open(out) as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(expected))


def test_the_floor_is_a_line_of_its_own_and_belongs_to_the_range() -> None:
    picture = np.asarray(panel("a", np.arange(3.0), np.full(3, 2.0), np.full(3, 1.0)))
    orange = (picture == np.array((230, 150, 60))).all(axis=2)
    rows = {name: np.nonzero(line[24:181, 58:309])[0] for name, line in (("value", blue(picture)), ("floor", orange))}
    assert rows["value"].max() <= 2  # at the top
    assert (rows["floor"] >= 150).sum() > 240  # at the bottom, from side to side


def test_late_starts_are_marked_side_by_side(tmp_path: Path) -> None:
    """However far apart they are in time; each is marked, and none is hidden by its neighbour."""
    out, late = tmp_path / "late.png", {"0": 2.0, "128": 2.0, "1000": 2.0, "10000": 2.0}
    assert draw_late({"late": late, "sanity": {"real": 1.0, "num": 8}}, "a", out) == out
    with Image.open(out) as picture:
        plot = blue(picture)[:, 58:309]
        orange = (np.asarray(picture) == np.array((230, 150, 60))).all(axis=2)
    thick = np.flatnonzero(plot[20:30].sum(axis=0) > 4)
    assert [int(place) for place in (0, 83, 167, 250) if np.abs(thick - place).min() <= 1] == [0, 83, 167, 250]
    assert not any(np.abs(thick - place).min() < 8 for place in (42, 125, 208))
    assert orange[170:185].sum() > 240, "the floor"
    assert draw_late({"late": None, "sanity": None}, "a", tmp_path / "none.png") is None
    assert draw_late({"late": late, "sanity": None}, "a", out) == out
    with Image.open(out) as picture:
        assert not (np.asarray(picture) == np.array((230, 150, 60))).all(axis=2).any(), "no floor, and no word of it"


def test_no_scores_no_picture(tmp_path: Path) -> None:
    assert draw_scores([], tmp_path / "metrics.png") is None
    assert list(tmp_path.iterdir()) == []
