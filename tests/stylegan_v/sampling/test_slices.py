from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.settings import read_settings
from errors import InputError
from stylegan_v.sampling.slices import Line, choose_line, image_saver


def test_the_row_in_the_middle_unless_another_is_named() -> None:
    assert choose_line((10, 20), None, None) == Line(True, 5)
    assert choose_line((10, 20), 0, None) == Line(True, 0)
    assert choose_line((10, 20), None, 19) == Line(False, 19)


@pytest.mark.parametrize("row, column, says", [(10, None, "row: 10: .* 0 to 9"), (None, 20, "column: 20: .* 0 to 19")])
def test_lines_outside_of_the_frame(row: int | None, column: int | None, says: str) -> None:
    with pytest.raises(InputError, match=says):
        choose_line((10, 20), row, column)


def test_one_line_only() -> None:
    with pytest.raises(InputError, match="column: row is given as well"):
        choose_line((10, 20), 0, 0)


def test_rows_go_down_with_time_and_columns_to_the_right(tmp_path: Path) -> None:
    frames = torch.randint(0, 256, (2, 7, 3, 4, 5), dtype=torch.uint8)
    for line, columns, expected in (
        (Line(True, 1), 2, [frames[b, :, :, 1].permute(0, 2, 1) for b in range(2)]),
        (Line(False, 3), 1, [frames[b, :, :, :, 3].permute(2, 0, 1) for b in range(2)]),
    ):
        path = tmp_path / f"{line.across}.png"
        image_saver(line, columns)(path, iter([line.take(frames[:, :3]), line.take(frames[:, 3:])]), line.settings())
        image = np.asarray(Image.open(path))
        height, width = expected[0].shape[:2]
        second = image[:, width + 2 :] if line.across else image[height + 2 :]
        assert np.array_equal(image[:height, :width], expected[0].numpy())
        assert np.array_equal(second, expected[1].numpy())
        assert read_settings(path) == ({"row": 1} if line.across else {"column": 3})
