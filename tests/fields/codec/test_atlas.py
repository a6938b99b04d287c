"""Sheets of pictures: nothing overlaps, nothing is lost, no block holds two."""

from __future__ import annotations

import numpy as np
import pytest

from errors import InputError
from fields.codec.atlas import Layout, compose, extract, layout

LEVELS = [(8, 8), (13, 13), (21, 21), (32, 33), (32, 53), (32, 84)]


@pytest.mark.parametrize("sizes", [LEVELS, [(1, 1)], [(5, 70), (70, 5)], [(9, 9)] * 7])
def test_no_block_holds_two_pictures(sizes: list[tuple[int, int]]) -> None:
    where = layout(sizes)
    owner = np.zeros((where.size[0] // 8, where.size[1] // 8), int)
    for (h, w), (y, x) in zip(where.sizes, where.places, strict=True):
        assert y % 8 == x % 8 == 0
        owner[y // 8 : -(-(y + h) // 8), x // 8 : -(-(x + w) // 8)] += 1
    blocks = sum(-(-h // 8) * -(-w // 8) for h, w in sizes)
    assert owner.max() == 1 and owner.sum() == blocks


def test_shelves_of_equal_boxes_leave_nothing_empty() -> None:
    assert layout([(8, 16)] * 6).size in [(24, 32), (16, 48)]  # 768 pixels, of all such sheets the least long sides
    assert layout([(8, 8), (4, 8), (8, 4), (1, 1)]) == Layout(
        (16, 16), ((8, 8), (4, 8), (8, 4), (1, 1)), ((0, 0), (0, 8), (8, 0), (8, 8))
    )


def test_pictures_come_back() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (2, *size)).astype(np.uint8) for size in LEVELS]
    where = layout(LEVELS)
    sheet = compose(pictures, where)
    assert sheet.shape == (2, *where.size)
    for given, found in zip(pictures, extract(sheet, where), strict=True):
        np.testing.assert_array_equal(found, given)


def test_pictures_go_on_to_the_end_of_a_block() -> None:
    picture = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    sheet = compose([picture], layout([(2, 3)]))
    expected = np.array([[0, 1, 2], [3, 4, 5]])[np.minimum(np.arange(8), 1)][:, np.minimum(np.arange(8), 2)]
    np.testing.assert_array_equal(sheet[0], expected)


def test_nothing_to_lay_out_is_refused() -> None:
    for sizes in ([], [(0, 4)]):
        with pytest.raises(InputError, match="at least one"):
            layout(sizes)
