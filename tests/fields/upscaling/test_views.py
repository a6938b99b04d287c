from __future__ import annotations

import numpy as np
import pytest

from errors import InputError
from fields.upscaling.views import Target, View, Zoom, parse_target


def positions(view: View) -> tuple[np.ndarray, np.ndarray]:
    return view.rows.positions(), view.columns.positions()


def test_a_whole_image_is_sampled_at_the_centres_of_equal_cells() -> None:
    view = Target(scale=2.5).view((4, 6))
    assert view.size == (10, 15) and view.box == (0, 0, 6, 4)
    rows, columns = positions(view)
    np.testing.assert_allclose(rows, (np.arange(10) + 0.5) * 0.4)
    np.testing.assert_allclose(columns, (np.arange(15) + 0.5) * 0.4)


@pytest.mark.parametrize(
    ("scale", "size"), [(3.7, (11, 11)), (0.5, (2, 2)), (0.01, (1, 1)), (1.5, (5, 5)), (1, (3, 3))]
)
def test_scaled_sizes_are_rounded_and_never_empty(scale: float, size: tuple[int, int]) -> None:
    assert Target(scale=scale).view((3, 3)).size == size


def test_a_size_is_width_by_height_and_may_change_the_shape() -> None:
    view = parse_target(None, "1920x1080", None).view((100, 100))
    assert view.size == (1080, 1920)
    assert view.rows.step == pytest.approx(100 / 1080) and view.columns.step == pytest.approx(100 / 1920)


def test_sides_of_videos_are_multiples_of_two() -> None:
    assert Target(scale=3.7).view((9, 10), 2).size == (34, 38)  # 33.3 x 37
    assert Target(size=(1, 1)).view((9, 10), 2).size == (2, 2)
    assert Target(size=(1081, 1921)).view((9, 10), 2).size == (1082, 1922)


@pytest.mark.parametrize(
    ("x", "y", "factor", "box"),
    [
        (0.5, 0.5, 1, (0, 0, 40, 20)),
        (0.5, 0.5, 4, (15, 7.5, 25, 12.5)),
        (0.25, 0.75, 4, (5, 12.5, 15, 17.5)),
        (0, 0, 4, (0, 0, 10, 5)),  # moved inside
        (1, 1, 4, (30, 15, 40, 20)),
        (0.1, 1, 2, (0, 10, 20, 20)),
    ],
)
def test_a_window_is_around_its_centre_and_inside_of_the_image(
    x: float, y: float, factor: float, box: tuple[float, ...]
) -> None:
    view = Target(zoom=Zoom(x, y, factor)).view((20, 40))
    assert view.size == (20, 40)  # the output keeps its size
    assert view.box == pytest.approx(box)
    rows, columns = positions(view)
    assert rows[0] == pytest.approx(box[1] + 0.5 / factor) and rows[-1] == pytest.approx(box[3] - 0.5 / factor)
    assert columns[0] == pytest.approx(box[0] + 0.5 / factor) and columns[-1] == pytest.approx(box[2] - 0.5 / factor)


def test_a_window_may_have_another_size() -> None:
    view = parse_target(3, None, "0.5,0.5,2").view((20, 40))
    assert view.size == (60, 120) and view.box == (10, 5, 30, 15) and view.rows.step == pytest.approx(1 / 6)


def test_what_shall_be_smaller_is_computed_at_the_size_of_the_source() -> None:
    view = Target(size=(5, 80)).view((20, 40))
    computed = view.not_reduced()
    assert computed.size == (20, 80) and computed.rows.step == 1 and computed.box == view.box
    assert Target(scale=2).view((7, 7)).not_reduced() == Target(scale=2).view((7, 7))
    odd = Target(scale=0.3).view((7, 7)).not_reduced()
    assert odd.size == (7, 7) and odd.box == (0, 0, 7, 7)


def test_windows_of_any_magnification_are_exact() -> None:
    view = Target(zoom=Zoom(0.3, 0.3, 1e6)).view((1000, 1000))
    rows = view.rows.positions()
    assert abs(rows.mean() - 300) < 1e-9 and np.all(np.diff(rows) > 0)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((2.0, "4x4", None), "size: scale is given as well"),
        ((None, None, None), "nothing says how large"),
        ((0.0, None, None), "scale: 0: give a number above 0"),
        ((-3.0, None, None), "scale: -3"),
        ((float("nan"), None, None), "scale: nan"),
        ((float("inf"), None, None), "scale: inf"),
        ((None, "0x100", None), "has no pixels"),
        ((None, "100", None), "give width and height"),
        ((None, "-1x100", None), "give width and height"),
        ((None, "1.5x100", None), "give width and height"),
        ((None, "9" * 5000 + "x1", None), "give width and height"),
        ((None, None, "0.5,0.5"), "give centre and factor"),
        ((None, None, "a,b,c"), "give centre and factor"),
        ((None, None, "1.5,0.5,2"), "centre in"),
        ((None, None, "nan,0.5,2"), "centre in"),
        ((None, None, "0.5,0.5,0.9"), "factor from 1 on"),
        ((None, None, "0.5,0.5,nan"), "factor from 1 on"),
        ((None, None, "0.5,0.5,inf"), "factor from 1 on"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(flags: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        parse_target(*flags)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("size", "magnifies"), [((21, 40), True), ((20, 40), True), ((20, 39), False), ((10, 10), False), ((10, 41), True)]
)
def test_a_model_is_asked_for_what_is_not_smaller(size: tuple[int, int], magnifies: bool) -> None:
    assert Target(size=size).view((20, 40)).magnifies == magnifies
