from __future__ import annotations

import numpy as np
import pytest
import torch

from stylegan_v.metrics.motion import thumbnails
from stylegan_v.metrics.motion.frames import follow, unit_frames
from stylegan_v.metrics.motion.thumbnails import Thumbnails, distances, distances_to_earlier
from tests.stylegan_v.metrics.motion.patterns import drifting, noise


def copies_of(clip: np.ndarray, chunk: int = 32) -> torch.Tensor:
    return follow(Thumbnails(), clip, chunk)


def test_distances_are_root_mean_square_differences() -> None:
    copies = copies_of(noise(9, (16, 16)))
    expected = unit_frames(noise(9, (16, 16))).flatten(1).half().double()
    found = distances(copies[:4], copies, torch.zeros(copies.shape[1], dtype=torch.float64))
    naive = (expected[:4, None] - expected[None]).square().mean(dim=2).sqrt()
    torch.testing.assert_close(found, naive, atol=1e-7, rtol=1e-6)
    black_white = torch.stack([torch.zeros(12), torch.ones(12)]).half()
    assert distances(black_white, black_white, torch.zeros(12).double()).tolist() == [[0, 1], [1, 0]]


def test_blocks_of_rows_and_columns_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    copies = copies_of(drifting(np.zeros(50), np.arange(50)))
    ((start, whole),) = distances_to_earlier(copies)
    assert start == 0 and whole.shape == (50, 50)
    monkeypatch.setattr(thumbnails, "_MOST_DISTANCES", 50 * 7)
    monkeypatch.setattr(thumbnails, "_TILE", 9)
    blocks = list(distances_to_earlier(copies))
    assert [start for start, _ in blocks] == list(range(0, 50, 7)) and blocks[-1][1].shape == (1, 50)
    for start, block in blocks:
        stop = start + len(block)
        torch.testing.assert_close(block, whole[start:stop, :stop], atol=1e-7, rtol=0)


def test_parts_do_not_matter_and_little_is_kept() -> None:
    clip = noise(11, (64, 48))
    assert torch.equal(copies_of(clip, 3), copies_of(clip, 11))
    assert copies_of(clip).dtype == torch.float16 and copies_of(clip).shape == (11, 3 * 21 * 16)
