from __future__ import annotations

import math

import pytest
import torch

from errors import InputError
from generate_options import ClipOptions
from stylegan_v.rendering import frame_times
from stylegan_v.sampling.times import Clip, Moments, Timing, make_clip, make_moments


def test_times_are_those_of_rendering_at_natural_speed() -> None:
    clip = make_clip(ClipOptions(ckpt="", seconds=2, fps=30, start=0.7), 25.0)
    assert torch.equal(clip.times(), frame_times(2, 30, 25, 0.7))
    assert clip.num_frames == 60 and isinstance(clip, Timing)


def test_speed_counts_seconds_of_the_video_per_second_of_the_file() -> None:
    slow = Clip(num_frames=4, fps=10, data_fps=20, start=1, speed=0.5)
    assert slow.times().tolist() == pytest.approx([20, 21, 22, 23]) and slow.step == pytest.approx(1)
    back = Clip(num_frames=4, fps=10, data_fps=20, start=1, speed=-2)
    assert back.times().tolist() == pytest.approx([20, 16, 12, 8]) and back.step == pytest.approx(-4)
    assert back.turn == pytest.approx(16)


def test_a_clip_may_go_back_to_the_beginning_and_no_further() -> None:
    assert Clip(num_frames=11, fps=10, data_fps=25, start=1, speed=-1).times()[-1] == 0
    with pytest.raises(InputError, match=r"at speed -1 the clip goes back 1.1 s, .* give a start of 1.1"):
        Clip(num_frames=12, fps=10, data_fps=25, start=1, speed=-1)
    with pytest.raises(InputError, match="start: moments beyond"):
        Clip(num_frames=2, fps=25, data_fps=25, start=1e15)


def test_a_loop_goes_round_in_either_direction() -> None:
    clip = Clip(num_frames=4, fps=10, data_fps=20, start=0.1, speed=-1, loop=True)
    assert clip.times().tolist() == pytest.approx([2, 0, 6, 4]) and clip.turn == 8
    late = Clip(num_frames=4, fps=10, data_fps=20, start=1e6, loop=True)
    assert late.times().tolist() == pytest.approx([0, 2, 4, 6])


def test_length_in_seconds_or_frames() -> None:
    def frames(**options: float) -> int:
        return make_clip(ClipOptions(ckpt="", **options), 20.0).num_frames

    assert frames() == 100 and frames(seconds=1.5) == 30 and frames(num_frames=7) == 7 and frames(seconds=1e-9) == 1
    assert frames(seconds=2, fps=50) == 100 and frames(num_frames=7, fps=50) == 7
    with pytest.raises(InputError, match=r"seconds: 1e\+12 are 2e\+13 frames: give at most 10000000"):
        frames(seconds=1e12)


def test_rate_is_that_of_the_data_where_none_is_given() -> None:
    assert make_clip(ClipOptions(ckpt=""), 12.5).fps == 12.5
    assert make_clip(ClipOptions(ckpt="", fps=60), 12.5).settings() == {
        "num_frames": 300,
        "fps": 60.0,
        "data_fps": 12.5,
        "start": 0.0,
        "speed": 1.0,
    }


def test_moments_in_frames_and_in_seconds() -> None:
    frames, seconds = (make_moments("3,0,1e6+0.5", unit, 20.0) for unit in ("frames", "seconds"))
    assert frames.times().tolist() == [3, 0, 1000000.5] and seconds.times().tolist() == [60, 0, 20000010]
    assert frames.num_frames == 3 and isinstance(frames, Timing)
    assert seconds.settings() == {"times": [3, 0, 1000000.5], "unit": "seconds", "data_fps": 20.0}


@pytest.mark.parametrize("value", [-0.5, 1e16, math.nan])
def test_moments_that_no_video_has(value: float) -> None:
    with pytest.raises(InputError, match=r"times: .*: a video has moments from 0 to"):
        Moments((0.0, value), "frames", 25.0)


def test_many_moments_are_told_apart_by_a_digest() -> None:
    several = [Moments(tuple(start + i / 8 for i in range(5000)), "frames", 25.0) for start in (0, 0, 1)]
    one, same, other = (moments.settings()["times"] for moments in several)
    assert one == same != other and one["num"] == 5000 and len(one["sha256"]) == 64


def test_timings_in_words() -> None:
    assert str(Clip(num_frames=4, fps=10, data_fps=20)) == "4 frames, 10 per second"
    assert str(Moments((0.0, 1.0), "frames", 25.0)) == "2 moments"
