"""Pictures of a fit."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from fields.fitting.pictures import compared, moving, sheet


def test_target_result_and_five_times_the_error_stand_side_by_side() -> None:
    target, result = torch.full((3, 4, 128), 0.2), torch.full((3, 4, 128), 0.3)
    picture = compared(target, result)
    assert picture.shape == (4, 3 * 128 + 8, 3)
    assert [picture[0, x, 0] for x in (0, 128, 132, 264)] == [51, 255, 77, pytest.approx(128, abs=1)]


def test_pixels_of_small_frames_are_magnified() -> None:
    frame = torch.rand(3, 16, 32)
    picture = compared(frame, frame)
    assert picture.shape == (64, 3 * 128 + 8, 3)
    assert np.array_equal(picture[::4, :128:4], picture[3::4, 3:128:4])
    assert not picture[:, 264:].any()


def test_rows_stand_below_one_another() -> None:
    rows = [np.full((2, 5, 3), value, dtype=np.uint8) for value in (10, 20)]
    picture = sheet(rows)
    assert picture[:, 0, 0].tolist() == [10, 10, 255, 255, 255, 255, 20, 20]


def test_a_moving_picture_has_every_frame() -> None:
    frames = [np.full((6, 5, 3), value, dtype=np.uint8) for value in (0, 100, 200)]
    with Image.open(io.BytesIO(moving(frames, 10.0))) as gif:
        assert (gif.n_frames, gif.size, gif.info["duration"]) == (3, (5, 6), 100)
        gif.seek(2)
        assert gif.convert("RGB").getpixel((2, 2)) == (200, 200, 200)
