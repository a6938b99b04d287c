from __future__ import annotations

import numpy as np
import pytest

from errors import InputError
from fields.codec.range_coder import RangeReader, RangeWriter, distribution


def test_numbers_of_several_distributions_come_back_in_turn() -> None:
    draw, likely = np.random.default_rng(0), [distribution(np.array(w)) for w in ([6.0, 1.0, 1.0], [1.0, 1.0])]
    rows = [draw.choice(3, 500, p=[0.75, 0.125, 0.125]), draw.integers(0, 2, 300)]
    writer = RangeWriter()
    for row, one in zip(rows, likely, strict=True):
        writer.write(row, one)
    data = writer.data()
    reader = RangeReader(data)
    assert all(np.array_equal(reader.read(one, len(row)), row) for row, one in zip(rows, likely, strict=True))
    reader.close()
    entropy = 300 - sum((rows[0] == k).sum() * np.log2(p) for k, p in enumerate((0.75, 0.125, 0.125)))
    assert len(data) % 4 == 0 and entropy <= 8 * len(data) <= entropy + 64


def test_what_is_cut_off_or_not_read_to_its_end_is_refused() -> None:
    writer = RangeWriter()
    writer.write(np.arange(200) % 2, even := distribution(np.ones(2)))
    with pytest.raises(InputError, match="cut off"):
        RangeReader(writer.data()[:-1])
    reader = RangeReader(writer.data())
    reader.read(even, 100)
    with pytest.raises(InputError, match="does not hold"):
        reader.close()
