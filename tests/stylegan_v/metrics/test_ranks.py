"""Work in parts, by one process; several are tested in test_metrics_distributed."""

from __future__ import annotations

import pytest

from stylegan_v.metrics.ranks import Ranks


def test_one_process_does_everything_itself() -> None:
    ranks, made = Ranks(), []
    results = ranks.in_order([3, 1, 2], lambda part: made.append(part) or part * part)
    assert next(results) == 9 and made == [3], "parts are made when they are asked for"
    assert list(results) == [1, 4] and made == [3, 1, 2]
    assert (ranks.size, ranks.rank) == (1, 0)
    assert ranks.gather("value") == ["value"] and ranks.of_first("value") == "value"
    assert ranks.share([3, 1, 2]) == [3, 1, 2]


def test_errors_keep_their_type() -> None:
    with pytest.raises(ZeroDivisionError):
        list(Ranks().in_order([1, 0], lambda part: 1 / part))
