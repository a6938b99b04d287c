from __future__ import annotations

import math

import pytest
import torch

from fields.grid_geometry import corners, entries, make_levels, positions


def test_resolutions_and_tables_of_the_published_keyframes() -> None:
    levels = make_levels(2, 16, 16, 1.35)
    expected = [16, 22, 30, 40, 54, 72, 97, 131, 177, 239, 322, 435, 587, 792, 1069, 1443]
    assert [level.resolution for level in levels] == [(n, n) for n in expected]
    assert sum(level.size for level in levels) == 4_616_112
    assert sum(level.size for level in make_levels(2, 16, 16, 1.35, align=8)) == 4_616_184


def test_tables_of_the_three_storages() -> None:
    hashed = make_levels(3, 3, 4, 2.0, "hash", log2_table=8, align=8)
    assert [(level.size, level.hashed) for level in hashed] == [(64, False), (256, True), (256, True)]
    tiled = make_levels(2, 3, 4, 2.0, "tiled", align=8)
    assert [(level.size, level.hashed) for level in tiled] == [(16, False)] * 3
    assert [level.offset for level in tiled] == [0, 16, 32]


def test_a_level_is_as_wide_along_each_axis_as_it_may_be() -> None:
    levels = make_levels(2, 3, 16, 2.0, max_resolution=(20, 1000))
    assert [level.resolution for level in levels] == [(16, 16), (20, 32), (20, 64)]
    assert [level.scale for level in levels] == [(15.0, 15.0), (19.0, 31.0), (19.0, 63.0)]
    assert [level.shift for level in levels] == [(0.5, 0.5), (0.0, 0.5), (0.0, 0.5)]
    assert [level.strides for level in levels] == [(1, 16), (1, 20), (1, 20)]


def test_the_position_is_rounded_once() -> None:
    x, scale = torch.tensor(1 / 3), 1442.7
    cell, fraction = positions(x, torch.tensor(scale, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64))
    exact = torch.tensor(float(x) * scale + 0.5)
    assert float(cell) == math.floor(float(exact))
    assert torch.equal(cell + fraction, exact)


@pytest.mark.parametrize("interpolation", ["linear", "smoothstep", "nearest"])
def test_weights_of_corners_add_up_to_one(interpolation: str) -> None:
    (level,) = make_levels(3, 1, 5, 1.0)
    index, weight = corners(torch.rand(20, 3), level, interpolation)
    assert index.shape == weight.shape == (20, 1 if interpolation == "nearest" else 8)
    torch.testing.assert_close(weight.sum(dim=1), torch.ones(20))


def test_indices_run_on_beyond_the_border_and_start_again() -> None:
    (level,) = make_levels(2, 1, 4, 1.0)
    vertices = torch.tensor([[3, 0], [4, 0], [0, 4], [4, 4]])
    assert entries(vertices, level).tolist() == [3, 4, 0, 4]
    assert entries(vertices, level, "clamp").tolist() == [3, 3, 12, 15]
