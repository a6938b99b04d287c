"""Frames of any size to frames of one size."""

from __future__ import annotations

import numpy as np
import pytest

from datasets.prepare_video import fit


def ramp(height: int, width: int) -> np.ndarray:
    """A frame whose red is the row and whose green is the column."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)


def test_a_frame_of_the_right_size_is_left_alone() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert fit(frame, (20, 30)) is frame


@pytest.mark.parametrize("height, width, size", [(60, 100, (30, 30)), (100, 60, (30, 30)), (64, 64, (18, 32))])
def test_the_centre_is_kept_and_covers_the_whole_frame(height: int, width: int, size: tuple[int, int]) -> None:
    """A linear ramp stays one under any resampling, away from the edges."""
    fitted = fit(ramp(height, width), size).astype(float)
    scale = min(height / size[0], width / size[1])
    for axis, (side, length) in enumerate([(size[0], height), (size[1], width)]):
        centres = (np.arange(side) + 0.5) * scale - 0.5 + (length - scale * side) / 2
        seen = fitted.mean(axis=1 - axis)[:, axis]
        np.testing.assert_allclose(seen[3:-3], centres[3:-3], atol=1)


def test_stretching_keeps_everything() -> None:
    fitted = fit(ramp(60, 120), (30, 30), "stretch").astype(float)
    np.testing.assert_allclose(fitted[3:-3, 15, 0], 2 * np.arange(3, 27) + 0.5, atol=1)
    np.testing.assert_allclose(fitted[15, 3:-3, 1], 4 * np.arange(3, 27) + 1.5, atol=1)


@pytest.mark.parametrize("filter", ["lanczos", "bicubic", "bilinear", "box"])
def test_shrinking_averages(filter: str) -> None:
    """A checkerboard becomes grey, not moire."""
    board = (np.indices((96, 96)).sum(0) % 2 * 255).astype(np.uint8)
    fitted = fit(np.repeat(board[..., None], 3, 2), (23, 23), "center", filter)
    assert np.abs(fitted[2:-2, 2:-2].astype(int) - 127).max() < 24
