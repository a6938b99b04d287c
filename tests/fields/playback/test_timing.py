"""Moments of the frames of a file, exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest

from errors import InputError
from fields.playback.timing import choose_timing
from generate_options import PlaybackOptions


def indices(length: int = 8, rate: float | None = 25.0, **options: float) -> list[float]:
    timing = choose_timing(PlaybackOptions(**options), length, rate, "run")
    return [timing.index(number) for number in range(timing.count)]


def test_as_it_is_every_frame_is_that_of_the_video() -> None:
    assert indices() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert indices(rate=30000 / 1001) == [0, 1, 2, 3, 4, 5, 6, 7]  # no rounding adds up
    assert not choose_timing(PlaybackOptions(), 8, 29.97, "run").between


def test_slow_motion_lies_between_and_holds_the_last_frame() -> None:
    expected = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2, 2, 2]
    assert indices(3, slow=4) == indices(3, speed=0.25) == indices(3, fps=100) == expected
    assert choose_timing(PlaybackOptions(slow=4), 3, 25, "run").between


def test_a_third_is_not_rounded() -> None:
    timing = choose_timing(PlaybackOptions(slow=3), 1000, 25, "run")
    assert timing.step == Fraction(1, 3) and timing.index(2997) == 999.0


def test_start_and_length_are_of_video_and_file() -> None:
    assert indices(start=0.1) == [2.5, 3.5, 4.5, 5.5, 6.5, 7]
    assert indices(start=0.08, num_frames=3) == [2, 3, 4]
    assert indices(seconds=0.1, fps=50, speed=2) == [0, 1, 2, 3, 4]
    assert indices(8, None, data_fps=50, fps=25) == [0, 2, 4, 6]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": 0.32}, "start"),
        ({"num_frames": 9}, "num_frames"),
        ({"seconds": 1.0}, "seconds"),
        ({"slow": 1e8}, "at most"),
        ({"fps": 5000.0}, "fps"),
    ],
)
def test_what_the_video_does_not_have_is_refused(options: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        indices(**options)


def test_an_unknown_rate_is_asked_for() -> None:
    with pytest.raises(InputError, match="data_fps"):
        indices(rate=None)


@pytest.mark.parametrize(
    "options",
    [
        {"fps": 0.0}, {"speed": -1.0}, {"slow": 0.0}, {"start": -1.0}, {"num_frames": 0}, {"seconds": float("nan")},
        {"speed": 1.0, "slow": 2.0}, {"seconds": 1.0, "num_frames": 3},
    ],
)  # fmt: skip
def test_nonsense_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError):
        PlaybackOptions(**options)
