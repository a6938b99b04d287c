"""Points of rate and distortion, the best of many, and the rate that one curve saves against another.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from datasets.files import read_json, write_json
from fields.reconstruction.frames import from_bytes
from fields.reconstruction.psnr import average_psnr, psnr

LEAST_POINTS = 4  # of a curve that is compared: Bjontegaard's fit is of third degree


@dataclass(frozen=True)
class Point:
    """A clip, coded once.

    Attributes:
        psnr: Of RGB with 8 bits, mean over frames, dB.
        payload_bits: What is decoded.
        container_bits: What says where it lies: headers, tables, sums.
        settings: How it was made.
    """

    psnr: float
    payload_bits: int
    container_bits: int
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def bits(self) -> int:
        """Of the file."""
        return self.payload_bits + self.container_bits


Rate = Callable[[Point], int]
RATES: dict[str, Rate] = {
    "payload": lambda point: point.payload_bits,
    "file": lambda point: point.bits,
}


@dataclass(frozen=True)
class Saving:
    """How much less rate a curve needs than another for the same PSNR.

    Attributes:
        percent: Bjontegaard's figure, mean over the PSNR that both reach; below 0 where it needs more.
        shared: These PSNR, dB.
        share: Of what either reaches.
        points: How many the curves have, this one and the other.
    """

    percent: float
    shared: tuple[float, float]
    share: float
    points: tuple[int, int]


def kept(path: Path, settings: Mapping[str, Any], make: Callable[[], Iterable[Point]]) -> list[Point]:
    """Points out of a file, where it was made with these settings; else they are made and left there.

    Args:
        path: JSON.
        settings: Plain values.
        make: Makes them.
    """
    wanted = json.loads(json.dumps(settings))
    if path.exists():
        found = read_json(path)
        if found["settings"] == wanted:
            return [Point(**point) for point in found["points"]]
    points = list(make())
    write_json(path, {"settings": wanted, "points": [asdict(point) for point in points]})
    return points


def mean_psnr(result: UInt8[Tensor, "F 3 H W"], reference: UInt8[Tensor, "F 3 H W"]) -> float:
    """PSNR of RGB frames, dB: the mean over frames, of which the exact ones do not count."""
    return average_psnr(psnr(from_bytes(result), from_bytes(reference)))[0]


def front(points: Sequence[Point], rate: Rate) -> list[Point]:
    """The points to which none is better in one thing and as good in the other, by rising rate.

    Args:
        points: Any number.
        rate: What counts.
    """
    found: list[Point] = []
    for point in sorted(points, key=lambda one: (rate(one), -one.psnr)):
        if not found or point.psnr > found[-1].psnr:
            found.append(point)
    return found


def hull(points: Sequence[Point], rate: Rate) -> list[Point]:
    """The points that no line between two others passes, by rising rate: the best that settings can do.

    Lines are straight over the logarithm of the rate, as Bjontegaard's measure reads curves.

    Args:
        points: Any number.
        rate: What counts.
    """
    found: list[Point] = []
    for point in front(points, rate):
        while len(found) > 1 and _slope(found[-2], found[-1], rate) <= _slope(found[-2], point, rate):
            found.pop()
        found.append(point)
    return found


def saving(points: Sequence[Point], other: Sequence[Point], rate: Rate) -> Saving | str:
    """What a curve saves against another by piecewise cubic interpolation, or why that cannot be said.

    Args:
        points: Of the curve.
        other: Of that which it is compared with.
        rate: What counts.
    """
    from bjontegaard import bd_rate

    curves = [front(curve, rate) for curve in (points, other)]
    counts = (len(curves[0]), len(curves[1]))
    if min(counts) < LEAST_POINTS:
        return f"too few points: {counts[0]} and {counts[1]}, not {LEAST_POINTS}"
    ends = [(curve[0].psnr, curve[-1].psnr) for curve in curves]
    low, high = max(ends[0][0], ends[1][0]), min(ends[0][1], ends[1][1])
    if low >= high:
        return f"no PSNR is reached by both: {_range(*ends[0])} and {_range(*ends[1])}"
    (rates, scores), (other_rates, other_scores) = ([_column(c, rate), _column(c, _psnr)] for c in curves)
    options = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}
    percent = -float(bd_rate(other_rates, other_scores, rates, scores, **options))
    share = (high - low) / (max(ends[0][1], ends[1][1]) - min(ends[0][0], ends[1][0]))
    return Saving(percent, (low, high), share, counts)


def _psnr(point: Point) -> float:
    return point.psnr


def _column(points: Sequence[Point], of: Callable[[Point], float]) -> Float[np.ndarray, " _"]:
    return np.array([of(point) for point in points], float)


def _slope(a: Point, b: Point, rate: Rate) -> float:
    return (b.psnr - a.psnr) / float(np.log(rate(b) / rate(a)))


def _range(low: float, high: float) -> str:
    return f"{low:.1f} to {high:.1f} dB"
