"""Sizes of the networks' levels for frames of any size."""

from __future__ import annotations

import pytest

from stylegan_v.networks.geometry import frame_size, levels


def sizes(resolution: tuple[int, int]) -> list[tuple[int, int, int]]:
    return [(level.height, level.width, level.name) for level in levels(resolution, 16384, 512)]


def test_powers_of_two_start_at_four() -> None:
    assert sizes((32, 32)) == [(4, 4, 4), (8, 8, 8), (16, 16, 16), (32, 32, 32)]


def test_the_specified_example() -> None:
    assert sizes((144, 256)) == [
        (5, 8, 8),
        (10, 16, 16),
        (20, 32, 32),
        (40, 64, 64),
        (80, 128, 128),
        (160, 256, 256),
    ]


@pytest.mark.parametrize("resolution", [(16, 16), (17, 31), (48, 80), (100, 16), (720, 1280)])
def test_the_working_size_covers_the_frame_by_less_than_one_base_step(resolution: tuple[int, int]) -> None:
    result = levels(resolution, 16384, 512)
    scale = result[-1].height // result[0].height
    for side, working in zip(resolution, (result[-1].height, result[-1].width), strict=True):
        assert side <= working < side + scale
    assert 4 <= min(result[0].height, result[0].width) <= 8


def test_channels_follow_the_table() -> None:
    assert [level.channels for level in levels((256, 256), 16384, 512)] == [512, 512, 512, 512, 256, 128, 64]


def test_too_small_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="12x64"):
        frame_size((12, 64))
    assert frame_size(8) == (8, 8)
