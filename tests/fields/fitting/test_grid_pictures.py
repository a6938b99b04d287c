"""Grids as pictures, and where they are kept."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fields.coord_grid import CoordGrid
from fields.fitting.grid_pictures import grid_picture, pictures_of, sheet, show_grids
from fields.modulation import CAM


def test_a_map_is_grey_from_the_least_to_the_largest() -> None:
    values = torch.tensor([[[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]])
    picture = grid_picture("a", values)[18:, : 3 * 64, 0]
    assert picture[::64, ::64].tolist() == [[0, 128, 255], [255, 128, 0]]
    assert np.array_equal(picture[:64, :64], np.zeros((64, 64)))


def test_equal_values_are_grey() -> None:
    assert (grid_picture("a", torch.ones(1, 2, 96))[18:, :192] == 128).all()


def test_channels_of_one_axis_are_rows() -> None:
    picture = grid_picture("a", torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]))[18:, : 2 * 64, 0]
    assert picture[::64, ::64].tolist() == [[0, 255], [255, 0], [0, 0]]


def test_slices_stand_side_by_side() -> None:
    values = torch.zeros(1, 3, 2, 2)
    values[0, 2, 0, 0] = 1
    picture = grid_picture("a", values)[18:, :, 0]
    times = 192 // 2
    assert picture[:2, 2 * (2 * times + 4)].tolist() == [255, 255] and picture[0, 2 * times] == 255  # the gap
    assert picture[0, 0] == 0


def test_many_tiles_are_cut() -> None:
    assert grid_picture("a", torch.rand(40, 2, 2)).shape[1] == 16 * 192 + 15 * 4


def test_one_line_is_a_curve_and_bad_numbers_do_no_harm() -> None:
    assert grid_picture("a", torch.tensor([[0.0, 1.0, torch.nan]])).shape == (260, 640, 3)
    assert grid_picture("a", torch.tensor([[[0.0, torch.nan]]])).shape[2] == 3


def test_a_quantised_grid_is_shown_as_it_is_read() -> None:
    field = nn.ModuleDict({"g": CoordGrid((1, 2), quantiser=nn.Threshold(0.5, 0.0))})
    with torch.no_grad():
        field["g"].values.copy_(torch.tensor([[[0.4, 1.0]]]))
    picture = pictures_of(field)["g"]
    assert picture[18, 0, 0] == 0 and picture[18, 191, 0] == 255


def test_pairs_stand_in_rows() -> None:
    a, b, c = (np.full(size, value, dtype=np.uint8) for size, value in (((2, 3, 3), 1), ((4, 5, 3), 2), ((1, 2, 3), 3)))
    found = sheet([a, b, c])
    assert found.shape == (4 + 6 + 1, 3 + 6 + 5, 3)
    assert (found[0, 0, 0], found[3, 9, 0], found[10, 1, 0], found[3, 0, 0]) == (1, 2, 3, 255)


@pytest.mark.parametrize("count", [0, 1, 40])
def test_all_grids_of_a_field_are_kept(count: int, tmp_path: Path) -> None:
    class Writer:
        def __init__(self) -> None:
            self.tags: list[tuple[str, int]] = []

        def add_image(self, tag: str, picture: Any, step: int, dataformats: str) -> None:
            self.tags.append((tag, step))

    writer = Writer()
    trainer = SimpleNamespace(default_root_dir=str(tmp_path), loggers=[SimpleNamespace(experiment=writer)])
    field = nn.Sequential(*(CAM((2, 2)) for _ in range(count)))
    show_grids(SimpleNamespace(trainer=trainer, model=field, updates=7))
    assert len(writer.tags) == min(2 * count, 32)
    assert (tmp_path / "samples" / "grids_0000007.png").is_file() == (count > 0)
    if count == 1:
        assert writer.tags == [("grids/0.gamma", 7), ("grids/0.beta", 7)]
        Image.open(tmp_path / "samples" / "grids_0000007.png").verify()
