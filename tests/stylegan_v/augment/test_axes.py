"""The reflection of indices."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from stylegan_v.augment.axes import reflect


@pytest.mark.parametrize("size", [1, 2, 5])
def test_reflection_repeats_no_edge(size: int) -> None:
    index = torch.arange(-9, 10)
    folded = reflect(index, size)
    assert torch.equal(reflect(torch.arange(size), size), torch.arange(size))
    assert torch.equal(folded, reflect(-index, size))
    assert all(abs(a - b) == min(1, size - 1) for a, b in pairwise(folded.tolist()))
