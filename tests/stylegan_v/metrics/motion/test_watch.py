from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from stylegan_v.metrics.motion.change import FrameDifferences, frame_change
from stylegan_v.metrics.motion.drift import drift
from stylegan_v.metrics.motion.flow import FrameFlow, flow
from stylegan_v.metrics.motion.frames import Follower, unit_frames
from stylegan_v.metrics.motion.knots import SecondDifferences, at_knots, jump_ratio, knot_jump
from stylegan_v.metrics.motion.recurrence import recurrence
from stylegan_v.metrics.motion.reversal import is_reversed, speed
from stylegan_v.metrics.motion.spectrum import MotionSpectrum, motion_spectrum
from stylegan_v.metrics.motion.thumbnails import Thumbnails
from stylegan_v.metrics.motion.watch import VideoMotion, watch
from tests.stylegan_v.metrics.motion.patterns import as_bytes, drifting, noise, still

TIMES = np.arange(100.0)


def clip() -> np.ndarray:
    way = np.abs((TIMES + 20) % 40 - 20) / 2
    return as_bytes(drifting(way, 0.3 * way))


def watched(frames: np.ndarray, chunk: int, device: str = "cpu") -> VideoMotion:
    parts = torch.from_numpy(frames).to(device).split(chunk)
    times = np.arange(float(len(frames)))
    return watch(parts, times, at_knots(times, 20))


def test_one_pass_says_what_every_figure_says_by_itself() -> None:
    frames = clip()
    seen = watched(frames, 30)
    assert 255 * math.sqrt(seen.change.mean()) == pytest.approx(frame_change(frames[None]), rel=1e-9)
    assert jump_ratio(seen.bend[None], seen.knots[None]) == pytest.approx(knot_jump(frames[None], 20), rel=1e-9)
    (expected,) = recurrence(frames[None])
    assert (seen.recurs, seen.period) == (expected.median, expected.period)
    np.testing.assert_allclose(seen.drift, drift(frames[None])[0])
    np.testing.assert_allclose(seen.spectrum, motion_spectrum(frames[None])[0])
    (displacements,) = flow(frames[None])
    assert seen.reverses and seen.has_direction and is_reversed(displacements)
    assert seen.speed == pytest.approx(speed(displacements), rel=1e-6)


def test_parts_do_not_matter() -> None:
    frames = clip()
    first, second = watched(frames, 100), watched(frames, 9)
    for name in ("change", "bend", "drift", "spectrum"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    assert first.recurs == second.recurs and first.period == second.period
    np.testing.assert_allclose(first.flow.shift, second.flow.shift, atol=1e-9)


def test_still_video() -> None:
    seen = watched(still(80), 32)
    assert seen.change.max() == 0 and seen.recurs == 0 and not seen.reverses and not seen.has_direction
    assert math.isnan(seen.period) and math.isnan(seen.speed) and math.isnan(seen.directed)


def kept(follower: Follower) -> int:
    """Bytes of the tensors that a follower holds on to."""
    held = [item for value in vars(follower).values() for item in (value if isinstance(value, list) else [value])]
    return sum(item.untyped_storage().nbytes() for item in held if isinstance(item, torch.Tensor))


@pytest.mark.parametrize(
    "make, most",
    [(FrameDifferences, 8), (SecondDifferences, 8), (MotionSpectrum, 0), (FrameFlow, 24), (Thumbnails, 1536)],
)
def test_what_is_kept_hardly_grows(make: Callable[[], Follower], most: int) -> None:
    follower, sizes = make(), []
    frames = unit_frames(noise(16, (64, 64)))
    for _ in range(12):
        follower.add(frames)
        sizes.append(kept(follower))
    assert sizes[-1] - sizes[5] == 6 * 16 * most


@pytest.mark.gpu
def test_device_does_not_matter() -> None:
    here, there = watched(clip(), 32), watched(clip(), 32, "cuda")
    for name in ("change", "bend", "drift", "spectrum"):
        np.testing.assert_allclose(getattr(here, name), getattr(there, name), rtol=1e-3, atol=1e-6)
    assert here.period == pytest.approx(there.period, abs=0.01) and here.recurs == pytest.approx(there.recurs, abs=1e-3)
    np.testing.assert_allclose(here.flow.shift, there.flow.shift, atol=1e-4)
