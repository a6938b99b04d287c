"""A result as a record."""

from __future__ import annotations

import math
import statistics

from stylegan_v.metrics.protocols import read_protocol
from stylegan_v.metrics.result import Result


def test_value_and_spread_are_over_draws() -> None:
    result = Result(read_protocol("fvd_16f"), [1.0, 2.0, 6.0], {"seconds": 1.5})
    assert (result.value, result.spread) == (3.0, statistics.stdev([1.0, 2.0, 6.0]))
    assert result.record() == {
        "protocol": "fvd_16f",
        "protocol_hash": result.protocol.digest,
        "value": 3.0,
        "spread": result.spread,
        "draws": [1.0, 2.0, 6.0],
        "seconds": 1.5,
    }


def test_spread_of_a_single_draw_is_not_known() -> None:
    result = Result(read_protocol("fvd_16f"), [1.0])
    assert math.isnan(result.spread) and result.record()["spread"] is None
