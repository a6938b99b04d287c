"""Signals of points: which are trained on, where they are, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.point_signal import of_picture, of_samples, read_picture
from errors import InputError

PIXELS = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)


def test_a_picture_is_its_pixels_row_by_row() -> None:
    signal = of_picture(PIXELS, "a")
    assert signal.size == (5, 4) and signal.trained.all() and (signal.unit, signal.span) == (2.0, 1.0)
    assert signal.positions[6].tolist() == [1.0, 2.0]
    assert torch.equal(((signal.values + 1) * 127.5).round(), torch.from_numpy(PIXELS.reshape(20, 3)).float())


def test_every_second_pixel_of_every_second_row_is_trained_on() -> None:
    trained = of_picture(PIXELS, "a", every=2).trained.reshape(5, 4)
    assert [[int(one) for one in row] for row in trained] == [
        [1, 0, 1, 0],
        [0] * 4,
        [1, 0, 1, 0],
        [0] * 4,
        [1, 0, 1, 0],
    ]


@pytest.mark.parametrize("every", [0, 3, -1])
def test_steps_that_leave_a_single_row_and_column_are_refused(every: int) -> None:
    with pytest.raises(InputError, match="every"):
        of_picture(PIXELS, "a", every)


def test_a_single_pixel_is_refused() -> None:
    with pytest.raises(InputError, match="1x1 pixels"):
        of_picture(PIXELS[:1, :1], "a")


def test_samples_lie_between_the_first_and_the_last_in_any_order() -> None:
    signal = of_samples(np.array([3.0, 1.0, 1.5]), np.array([5.0, -1.0, 2.0]), "s")
    assert signal.size == (3,) and signal.positions[:, 0].tolist() == [2.0, 0.0, 0.5]
    assert signal.values[:, 0].tolist() == [5.0, -1.0, 2.0] and signal.span == 6.0 and signal.bounds is None


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        ([0.0], [1.0], "has 1 point"),
        ([0.0, np.nan, 1.0], [1.0, 2.0, 3.0], "x of point 2 is nan"),
        ([0.0, 1.0], [1.0, np.inf], "y of point 2 is inf"),
        ([0.5, 0.5], [1.0, 2.0], "x runs from 0.5 to 0.5"),
        ([0.0, 1.0], [2.0, 2.0], "y runs from 2 to 2"),
        ([-1e308, 1e308], [1.0, 2.0], "x runs from"),
    ],
)
def test_samples_that_say_nothing_are_refused(x: list[float], y: list[float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        of_samples(np.array(x), np.array(y), "s")


def test_an_image_file_may_be_scaled(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    assert np.array_equal(read_picture(tmp_path / "a.png"), PIXELS)
    assert read_picture(tmp_path / "a.png", (10, 2)).shape == (10, 2, 3)


@pytest.mark.parametrize("content", [None, b"no image", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_said(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png: no image that can be read"):
        read_picture(path)


def test_an_image_too_large_for_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.point_signal.available_memory", lambda device: 1000)
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"data\.size"):
        read_picture(tmp_path / "a.png")
