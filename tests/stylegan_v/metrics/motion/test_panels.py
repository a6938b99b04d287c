from __future__ import annotations

import numpy as np
import pytest
import torch

from stylegan_v.metrics.motion.knots import at_knots
from stylegan_v.metrics.motion.panels import panels, thinned
from stylegan_v.metrics.motion.watch import VideoMotion, watch
from tests.stylegan_v.metrics.motion.patterns import as_bytes, drifting


def watched(num_frames: int, start: float = 0.0) -> list[VideoMotion]:
    t = np.arange(num_frames)
    times = start + np.arange(float(num_frames))
    # Swings of 16 frames, which turn at the knots.
    clip = as_bytes(drifting(np.abs((t + 8) % 16 - 8) / 2, 0 * t))
    return [watch([torch.from_numpy(clip)], times, at_knots(times, 8))] * 2


def test_all_curves() -> None:
    seen = watched(100)
    found = panels(seen, seen, distance=8)
    assert [panel.x for panel in found] == ["lag, frames", "cycles per frame", "time, frames", "frames after a knot"]
    drift, spectrum, recurrence, knots = (panel.curves[0] for panel in found)
    assert len(drift.x) == 93 and drift.y[16] < 1e-6 < drift.y[8]
    assert spectrum.x[spectrum.y.argmax()] == pytest.approx(1 / 16)
    assert (recurrence.x[0], recurrence.x[-1]) == (65, 99) and recurrence.y[15:].max() < 0.01
    assert knots.x.tolist() == list(range(8)) and knots.y.argmax() == 0


@pytest.mark.parametrize("num_frames, start, distance, num", [(60, 0.0, 8, 3), (60, 0.0, None, 2), (100, 0.5, 8, 3)])
def test_only_curves_that_can_be_told(num_frames: int, start: float, distance: float | None, num: int) -> None:
    seen = watched(num_frames, start)
    assert len(panels(seen, seen, distance=distance)) == num
    assert len(panels(seen, seen, distance=num_frames)) == num - (distance == 8 and start == 0)


def test_long_curves_are_thinned_to_means() -> None:
    x = np.arange(1300.0)
    thin_x, thin_y = thinned(x, x**2)
    assert len(thin_x) == 433 and thin_x[:2].tolist() == [1, 4]
    assert thin_y[1] == pytest.approx((9 + 16 + 25) / 3)
    same_x, same_y = thinned(x[:512], x[:512])
    assert np.array_equal(same_x, x[:512]) and np.array_equal(same_y, x[:512])
