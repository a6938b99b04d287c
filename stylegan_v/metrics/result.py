"""What comes of carrying out a protocol."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import Any

from stylegan_v.metrics.protocols import MetricProtocol


@dataclass(frozen=True)
class Result:
    """A score, and all that has to be said with it.

    Attributes:
        protocol: What was carried out.
        draws: The number of each draw of fakes.
        facts: Plain values: numbers of items, hashes, sanity rows, the curve of late starts.
    """

    protocol: MetricProtocol
    draws: list[float]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The score: mean over the draws."""
        return statistics.fmean(self.draws)

    @property
    def spread(self) -> float:
        """Standard deviation over the draws; NaN of a single one."""
        return statistics.stdev(self.draws) if len(self.draws) > 1 else math.nan

    def record(self) -> dict[str, Any]:
        """The result as plain values, for one line of JSON; what is not known is None."""
        return {
            "protocol": self.protocol.name,
            "protocol_hash": self.protocol.digest,
            "value": self.value,
            "spread": None if math.isnan(self.spread) else self.spread,
            "draws": self.draws,
            **self.facts,
        }
