"""Points of rate and distortion: fronts, hulls, Bjontegaard's figure by closed forms, and what is kept in files."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import torch

from benchmarks.rates.points import RATES, Point, Saving, front, hull, kept, mean_psnr, saving

PAYLOAD, FILE = RATES["payload"], RATES["file"]


def line(slope: float, offset: float, scores: tuple[float, ...] = (30.0, 32.0, 35.0, 39.0, 40.0)) -> list[Point]:
    """Points on a straight line over the logarithm of the rate, as whole bits of large files."""
    return [Point(score, round(math.exp((score - offset) / slope + 12)), 0) for score in scores]


def test_half_the_rate_everywhere_saves_half() -> None:
    curve = line(2.0, 30.0)
    twice = [Point(p.psnr, 2 * p.payload_bits, 0) for p in curve]
    found = saving(curve, twice, PAYLOAD)
    assert isinstance(found, Saving)
    assert found.percent == pytest.approx(50.0, abs=1e-3) and found.shared == (30.0, 40.0) and found.share == 1.0
    assert saving(twice, curve, PAYLOAD).percent == pytest.approx(-100.0, abs=1e-3)


def test_lines_of_different_slope_have_the_mean_of_their_logarithms() -> None:
    # ln r = (p - 30) / a: the mean of the difference over 32 to 40, where both are, is that at 36.
    curve, other = line(3.0, 30.0, (32, 34, 36, 38, 42)), line(2.0, 30.0, (28, 30, 34, 38, 40))
    found = saving(curve, other, PAYLOAD)
    assert isinstance(found, Saving)
    assert found.shared == (32, 40) and found.share == pytest.approx(8 / 14) and found.points == (5, 5)
    assert found.percent == pytest.approx(100 * (1 - math.exp(6 / 3 - 6 / 2)), abs=0.01)


def test_containers_count_where_files_are_compared() -> None:
    curve = [Point(p.psnr, p.payload_bits, p.payload_bits) for p in line(2.0, 30.0)]
    assert saving(curve, line(2.0, 30.0), PAYLOAD).percent == pytest.approx(0.0, abs=1e-9)
    assert saving(curve, line(2.0, 30.0), FILE).percent == pytest.approx(-100.0, abs=1e-3)


def test_what_does_not_overlap_or_is_too_short_has_no_figure() -> None:
    low, high = line(2.0, 30.0, (20, 22, 24, 26)), line(2.0, 30.0, (26, 28, 30, 32))
    assert saving(low, high, PAYLOAD) == "no PSNR is reached by both: 20.0 to 26.0 dB and 26.0 to 32.0 dB"
    assert saving(low[:3], high, PAYLOAD) == "too few points: 3 and 4, not 4"
    beaten = [*low[:3], Point(21.0, 10**9, 0)]  # the fourth is worse than the third, and costs more
    assert saving(beaten, low, PAYLOAD) == "too few points: 3 and 4, not 4"


def test_a_front_holds_what_nothing_beats() -> None:
    points = [Point(30, 100, 0), Point(29, 110, 0), Point(31, 100, 0), Point(33, 200, 0), Point(33, 150, 0)]
    assert [(p.psnr, p.payload_bits) for p in front(points, PAYLOAD)] == [(31, 100), (33, 150)]


def test_a_hull_is_above_all_points() -> None:
    rng = torch.Generator().manual_seed(0)
    drawn = torch.rand(60, 2, generator=rng)
    points = [Point(20 + 20 * float(a), int(1000 + 9000 * float(b)), 0) for a, b in drawn]
    found = hull(points, PAYLOAD)
    rates, scores = [math.log(p.payload_bits) for p in found], [p.psnr for p in found]
    slopes = [(b - a) / (s - r) for a, b, r, s in zip(scores, scores[1:], rates, rates[1:], strict=False)]
    assert 2 < len(found) < len(points)
    assert all(a > b > 0 for a, b in itertools.pairwise(slopes))
    for point in points:
        rate = math.log(point.payload_bits)
        for i in range(len(found) - 1):
            if rates[i] <= rate <= rates[i + 1]:
                assert point.psnr <= scores[i] + slopes[i] * (rate - rates[i]) + 1e-9
    assert max(p.psnr for p in points) == scores[-1] and min(p.payload_bits for p in points) == found[0].payload_bits


def test_points_are_kept_by_their_settings(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> list[Point]:
        made.append(1)
        return [Point(30.0, 100, 10, {"crf": 4})]

    first = kept(tmp_path / "a.json", {"crfs": (4,)}, make)
    assert kept(tmp_path / "a.json", {"crfs": (4,)}, make) == first == make() and len(made) == 2
    assert kept(tmp_path / "a.json", {"crfs": (4, 8)}, make) == first and len(made) == 3


def test_psnr_is_the_mean_over_frames() -> None:
    frames = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    other = frames.clone()
    other[0], other[1] = 1, 10
    assert mean_psnr(frames, other) == pytest.approx(20 * math.log10(255) - 10, abs=1e-4)
