"""What of a video is seen: against plain lists of the numbers of its pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.visibility import Visible, scaled
from errors import InputError


def test_pixels_are_those_that_are_not_hidden_in_order() -> None:
    hidden = torch.rand(5, 6, 7, generator=torch.Generator().manual_seed(0)) < 0.6
    hidden[2] = True
    hidden[3, 1:4] = True
    visible = Visible(hidden)
    numbers = (~hidden).flatten().nonzero()[:, 0]
    assert visible.count == len(numbers) and visible.frames == [0, 1, 3, 4]
    assert torch.equal(visible.pixels(torch.arange(visible.count)), numbers)
    assert torch.equal(visible.pixels(torch.tensor([7, 0, 7])), numbers[[7, 0, 7]])
    assert torch.equal(visible.seen([3, 0]), ~hidden[[3, 0]])
    assert visible.num_bytes == 5 * 6 * 7 + 2 * len(numbers) + 8 * 5 * 6


def test_one_mask_for_all_frames_needs_no_copies() -> None:
    mask = torch.eye(4, dtype=torch.bool).expand(3, 4, 4)
    assert Visible(mask).hidden.data_ptr() == mask.data_ptr()
    assert Visible(mask).count == 3 * 12


def test_all_or_nothing_hidden_is_refused() -> None:
    for value, words in ((True, "all pixels"), (False, "no pixel")):
        with pytest.raises(InputError, match=words):
            Visible(torch.full((2, 3, 3), value))


@pytest.mark.parametrize("size", [(8, 5), (13, 31), (40, 9), (24, 18)])
def test_no_scaled_pixel_that_is_seen_depends_on_a_hidden_one(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    hidden = np.zeros((24, 18), dtype=bool)
    hidden[3:5, 10:12] = hidden[20, 2] = True
    values = random.integers(0, 255, hidden.shape, dtype=np.uint8)
    others = np.where(hidden, random.integers(0, 255, hidden.shape, dtype=np.uint8), values)
    one, other = (np.asarray(Image.fromarray(x).resize(size[::-1], Image.Resampling.LANCZOS)) for x in (values, others))
    mask = scaled(hidden, size)
    assert mask.shape == size and 0 < mask.sum() < mask.size
    assert (one[~mask] == other[~mask]).all() and (one != other).any()


def test_the_size_it_has_changes_nothing() -> None:
    hidden = np.random.default_rng(0).random((7, 5)) < 0.5
    assert (scaled(hidden, (7, 5)) == hidden).all()
