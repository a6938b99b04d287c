from __future__ import annotations

import numpy as np
import pytest
import torch

from errors import InputError
from stylegan_v.metrics.motion.frames import each, follow, smaller, unit_frames
from tests.stylegan_v.metrics.motion.patterns import as_bytes, drifting, noise


def test_bytes_and_floats_are_the_same_frames() -> None:
    clip = drifting(np.zeros(2), np.arange(2))
    floats, whole = unit_frames(torch.from_numpy(clip)), unit_frames(as_bytes(clip))
    assert floats.dtype == whole.dtype == torch.float32
    torch.testing.assert_close(floats, whole, atol=1 / 255, rtol=0)
    assert unit_frames(np.array([0, 255], dtype=np.uint8)).tolist() == [0, 1]
    assert unit_frames(np.array([-3.0, -1.0, 0.0, 1.0, 3.0])).tolist() == [0, 0, 0.5, 1, 1]


def test_whole_numbers_that_are_no_bytes_are_refused() -> None:
    with pytest.raises(InputError, match="int64"):
        unit_frames(torch.zeros(2, 3, 4, 4, dtype=torch.int64))


def test_small_copies_keep_means_and_lose_what_is_too_fine() -> None:
    checks = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(16, 32).expand(1, 3, 32, 64)
    small = smaller(checks, 8)
    assert small.shape == (1, 3, 8, 16)
    torch.testing.assert_close(small, torch.full_like(small, 0.5), atol=0.01, rtol=0)
    assert smaller(checks, 32) is checks and smaller(checks, 64) is checks


def test_clips_of_numpy_and_torch_one_by_one() -> None:
    clips = np.arange(2 * 2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 2, 3, 4, 4)
    for found, again, clip in zip(each(clips), each(torch.from_numpy(clips)), clips, strict=True):
        assert np.array_equal(found, clip) and np.array_equal(again, clip)


def test_followers_see_every_frame_once_in_order() -> None:
    class Recorder:
        def __init__(self) -> None:
            self.seen: list[torch.Tensor] = []

        def add(self, frames: torch.Tensor) -> None:
            self.seen.append(frames)

        def result(self) -> list[torch.Tensor]:
            return self.seen

    clip = noise(7, (8, 8))
    clip.flags.writeable = False
    parts = follow(Recorder(), clip, 3)
    assert [len(part) for part in parts] == [3, 3, 1]
    assert torch.equal(torch.cat(parts), unit_frames(clip))


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (1, 2, 4, 4, 3), (1, 0, 3, 4, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="rearrange"):
        list(each(np.zeros(shape, dtype=np.uint8)))
