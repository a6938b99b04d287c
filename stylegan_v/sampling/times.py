"""The moments that the frames of a file show.

Shape legend
    F       frames of a file
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float64
from torch import Tensor

from errors import InputError
from generate_options import ClipOptions
from stylegan_v.sampling.lists import moments

Unit = Literal["frames", "seconds"]
_LAST_TIME = 2.0**53  # float64 does not know every whole number of frames beyond
_MOST_LISTED = 1000


@runtime_checkable
class Timing(Protocol):
    """Moments, and how they are played."""

    num_frames: int
    fps: float

    def times(self) -> Float64[Tensor, " F"]:
        """Times of the frames, in frames of the training data."""

    def settings(self) -> dict[str, Any]:
        """What of it decides the frames of a file, as plain values."""

    def __str__(self) -> str:
        """It in words."""


@dataclass(frozen=True)
class Clip:
    """A stretch of time at a rate and a speed.

    Args:
        num_frames: F.
        fps: Frames per second of the file.
        data_fps: Frames per second of the training data.
        start: Moment of the first frame, seconds.
        speed: Seconds of the video that a second of the file shows; negative runs backwards.
        loop: Whether the first frame comes again after the last; then there is nothing before the beginning.

    Raises:
        InputError: A frame would lie before the beginning of the video, or too late for its time to be a number.
    """

    num_frames: int
    fps: float
    data_fps: float
    start: float = 0.0
    speed: float = 1.0
    loop: bool = False

    def __post_init__(self) -> None:
        back = -self.speed * ((self.num_frames - 1) / self.fps)
        if back > self.start and not self.loop:
            raise InputError(
                f"start: at speed {self.speed:g} the clip goes back {back:g} s, and a video begins at 0: "
                f"give a start of {back:g} or more, or a shorter clip"
            )
        if max(self.start, self.start - back) * self.data_fps > _LAST_TIME:
            raise InputError(
                f"start: moments beyond {_LAST_TIME / self.data_fps:g} s cannot be told apart: start earlier"
            )

    @property
    def step(self) -> float:
        """Frames of the training data from one frame to the next; negative backwards."""
        return self.speed * self.data_fps / self.fps

    @property
    def turn(self) -> float:
        """Frames of the training data until the first frame comes again, in a loop."""
        return self.num_frames * abs(self.step)

    def times(self) -> Float64[Tensor, " F"]:
        seconds = torch.arange(self.num_frames, dtype=torch.float64) / self.fps
        times = (self.start + self.speed * seconds) * self.data_fps
        return times.remainder(self.turn) if self.loop else times

    def __str__(self) -> str:
        return f"{self.num_frames} frames, {self.fps:g} per second"

    def settings(self) -> dict[str, Any]:
        rates = {"fps": self.fps, "data_fps": self.data_fps, "start": self.start, "speed": self.speed}
        return {"num_frames": self.num_frames, **{name: float(value) for name, value in rates.items()}}


@dataclass(frozen=True)
class Moments:
    """Moments of any order and distance.

    Args:
        values: Times, in units.
        unit: Frames of the training data, or seconds.
        data_fps: Frames per second of the training data.

    Raises:
        InputError: A moment that no video has.
    """

    values: tuple[float, ...]
    unit: Unit
    data_fps: float
    fps: float = 1.0  # frames without a rate are written in formats that do not keep it

    def __post_init__(self) -> None:
        for value, time in zip(self.values, self.times().tolist(), strict=True):
            if not 0 <= time <= _LAST_TIME:
                raise InputError(f"times: {value:g}: a video has moments from 0 to {_LAST_TIME:g} frames: give others")

    @property
    def num_frames(self) -> int:
        """F."""
        return len(self.values)

    def times(self) -> Float64[Tensor, " F"]:
        return torch.tensor(self.values, dtype=torch.float64) * (self.data_fps if self.unit == "seconds" else 1)

    def __str__(self) -> str:
        return f"{self.num_frames} moments"

    def settings(self) -> dict[str, Any]:
        listed: Any = list(self.values)
        if len(listed) > _MOST_LISTED:  # more than a file's settings have room for
            listed = {"num": len(listed), "sha256": hashlib.sha256(repr(listed).encode()).hexdigest()}
        return {"times": listed, "unit": self.unit, "data_fps": float(self.data_fps)}


def make_clip(options: ClipOptions, data_fps: float, *, loop: bool = False) -> Clip:
    """The stretch of time that was asked for, of data with ``data_fps`` frames per second."""
    fps = options.fps or data_fps
    return Clip(options.count(fps), fps, data_fps, options.start, options.speed, loop)


def make_moments(times: str, unit: Unit, data_fps: float) -> Moments:
    """The moments of a list or file, of data with ``data_fps`` frames per second."""
    return Moments(tuple(moments(times, "times")), unit, data_fps)
