from __future__ import annotations

import numpy as np
import pytest

from stylegan_v.metrics.motion.change import frame_change
from tests.stylegan_v.metrics.motion.patterns import noise, still


def test_change_in_grey_levels() -> None:
    steps = (
        np.full((1, 5, 3, 8, 8), 100, dtype=np.uint8) + np.arange(0, 20, 4, dtype=np.uint8)[None, :, None, None, None]
    )
    assert frame_change(steps) == pytest.approx(4, rel=1e-5)
    # Of several clips the root of the mean square.
    assert frame_change(np.concatenate([steps, np.zeros_like(steps)])) == pytest.approx(4 / np.sqrt(2), rel=1e-5)


def test_still_and_noise() -> None:
    assert frame_change(still(4)[None]) == 0
    # The difference of two values that are uniform in 0 ... 255.
    assert frame_change(noise(40)[None]) == pytest.approx(np.sqrt(2 * (256**2 - 1) / 12), rel=0.01)


def test_parts_do_not_matter() -> None:
    clips = noise(13)[None]
    assert frame_change(clips, chunk=1) == frame_change(clips, chunk=5) == frame_change(clips, chunk=13)
