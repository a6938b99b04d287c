from __future__ import annotations

import pytest
import torch

from errors import InputError
from stylegan_v.networks.view import View, views_of


def test_places_are_counted_in_native_pixels() -> None:
    assert View.of((16, 16)).places(0, (16, 16)).tolist() == list(range(16))
    assert View.of((4, 6), (8, 3), (2, 0, 4, 3), (0.5, 0.0)).places(0, (4, 6)).tolist() == [1.0, 1.5]
    assert View.of((4, 6), (8, 3)).places(1, (4, 6), apron=1).tolist() == [-1.5, 0.5, 2.5, 4.5, 6.5]


def test_the_finer_view_holds_what_a_reduction_reads() -> None:
    view = View.of((16, 12), (4, 24), (1, 3, 2, 9), (0.0, 0.25))
    finer, (rows, columns) = view.finer((16, 12))
    assert finer.size == (16, 24) and finer.shift == (0.0, 0.25)
    # A row of four native ones reads eight on either side of its middle, 5.5, and there are none before the first.
    assert finer.window == (0, 3, 14, 9) and columns is None
    assert rows.index.min() == 0 and rows.index.max() == 13
    assert torch.allclose(rows.weight.sum(dim=1), torch.ones(1, dtype=torch.float64))


def test_a_view_is_native_where_nothing_is_asked_for() -> None:
    assert View.of((16, 12)).native((16, 12)) and View.of((16, 12), (16, 12), (0, 0, 16, 12)).native((16, 12))
    for other in ({"size": (16, 13)}, {"window": (0, 0, 16, 11)}, {"shift": (0.0, 0.1)}):
        assert not View.of((16, 12), **other).native((16, 12))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": (0, 8)}, "at least one pixel"),
        ({"window": (0, 0, 17, 4)}, "inside of 16 x 16"),
        ({"window": (3, 3, 3, 5)}, "half open"),
        ({"size": [(8, 8)]}, "1 of them for 2 videos"),
        ({"window": [(0, 0, 4, 4), (0, 0, 4, 5)]}, "one shape"),
    ],
)
def test_views_that_cannot_be_are_refused(given: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        views_of((16, 16), 2, **given)


def test_zooms_are_continuous_and_meet_views_of_whole_pixels() -> None:
    whole = View.zoomed((16, 16), (20, 30), (0.5, 0.5), 1.0)
    assert whole == View.of((16, 16), (20, 30))
    twice = View.zoomed((16, 16), (20, 30), (0.25, 1.0), 2.0)
    same = View.of((16, 16), (40, 60), (20, 0, 40, 30))
    for axis in (0, 1):
        torch.testing.assert_close(twice.places(axis, (16, 16)), same.places(axis, (16, 16)))
    before, after = (View.zoomed((16, 16), (20, 30), (0.3, 0.6), f).places(1, (16, 16)) for f in (1.7, 1.7001))
    assert (before - after).abs().max() < 2e-3
    with pytest.raises(InputError, match="factor of 1 or more"):
        View.zoomed((16, 16), (20, 30), (0.5, 0.5), 0.5)


def test_rows_are_native_ones_at_native_size_without_a_shift() -> None:
    view = View.of((16, 12), (16, 24), (3, 0, 5, 2), (0.0, 0.0))
    assert view.on_pixels(0, (16, 12)) and not view.on_pixels(1, (16, 12))
    assert not View.of((16, 12), shift=(0.5, 0.0)).on_pixels(0, (16, 12))
