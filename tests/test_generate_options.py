from __future__ import annotations

import math
from typing import Any

import pytest

from errors import InputError
from generate_options import ClipOptions, ClipsOptions, FramesOptions, Options, Several


@pytest.mark.parametrize(
    "kind, given, says",
    [
        (Options, {"seed": -1}, "seed: -1: give a number from 0 to 4294967295"),
        (Options, {"seed": 2**32}, "seed: 4294967296: "),
        (Options, {"data_fps": 0}, "data_fps: 0: give a number above 0"),
        (Options, {"truncation_psi": math.nan}, "truncation_psi: nan: give a number"),
        (Options, {"chunk": 0}, "chunk: 0: give a number from 1 to"),
        (ClipOptions, {"fps": 0}, "fps: 0: give a number above 0"),
        (ClipOptions, {"fps": -25}, "fps: -25: "),
        (ClipOptions, {"fps": math.inf}, "fps: inf: "),
        (ClipOptions, {"fps": math.nan}, "fps: nan: "),
        (ClipOptions, {"seconds": 0}, "seconds: 0: "),
        (ClipOptions, {"seconds": math.nan}, "seconds: nan: "),
        (ClipOptions, {"start": -0.1}, "start: -0.1: a video begins at 0"),
        (ClipOptions, {"start": math.inf}, "start: inf: give a number"),
        (ClipOptions, {"speed": 0}, "speed: 0 would show one moment for ever"),
        (ClipOptions, {"speed": math.nan}, "speed: nan: "),
        (ClipOptions, {"num_frames": 0}, "num_frames: 0: give a number from 1 to 10000000"),
        (ClipOptions, {"num_frames": 10**9}, "num_frames: 1000000000: "),
        (ClipOptions, {"num_frames": 3, "seconds": 1}, "num_frames: seconds is given as well"),
        (ClipsOptions, {"fps": 0}, "fps: 0: "),
        (ClipsOptions, {"num_videos": 0}, "num_videos: 0: "),
        (ClipsOptions, {"seed": -1}, "seed: -1: "),
        (FramesOptions, {"num_videos": -3}, "num_videos: -3: "),
        (FramesOptions, {"seed": -1}, "seed: -1: "),
    ],
)
def test_what_makes_no_sense(kind: type[Options], given: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=f"^{says}"):
        kind(ckpt="run", **given)


@pytest.mark.parametrize(
    "given, says",
    [
        ({"num_videos": 3, "videos": "1"}, "videos: num_videos is given as well"),
        ({"videos": "1", "seeds": "2"}, "seeds: videos is given as well"),
    ],
)
def test_videos_are_named_in_one_way(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Several(**given)


def test_all_of_a_kind_are_options_and_videos() -> None:
    told = ClipsOptions(ckpt="run", seconds=2, videos="3", grid="5x5")
    assert isinstance(told, ClipOptions) and isinstance(told, Several)
    assert (told.out, told.speed, told.chunk, told.count(25)) == ("out", 1.0, "auto", 50)
