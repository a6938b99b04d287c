"""What all verbs of generate.py can be told, and what of it makes no sense.

It stands at the top level because the command line is made from it before anything heavy is imported; a room would
bring its package along.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from errors import InputError

Format = Literal["mp4", "webm", "gif", "webp", "png", "npy"]
NUM_SEEDS = 2**32  # and as many videos of each; random draws are addressed by words of 32 bits
MAX_FRAMES = 10_000_000
_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which model draws, and where pictures go.

    Args:
        ckpt: A run folder, a checkpoint, a folder or file of weights, or a snapshot of the original system.
        out: A folder, for one file per video; or a file name (.mp4, .gif, ...), for all of them tiled.
        seed: Of content and motion, from 0 on.
        truncation_psi: 1 keeps the full variety, smaller values draw videos nearer to the mean one.
        label: Class of all videos, for a model with labels; of a list (0,2,5-7), each video takes the next. None: a
            class per video, drawn.
        data_fps: Frames per second of the training data, the model's clock. None: as the checkpoint says.
        format: Of the files in a folder: mp4, webm, gif, webp, npy, or png for a folder of frames per video. None: mp4.
        crf: Quality of mp4, webm and webp, 0 is best. None: hardly to be told from the frames.
        overwrite: Whether to replace files that were made with other settings; those made with the same are kept.
        device: "cpu", "cuda", "cuda:1", ... or "auto": a GPU where there is one.
        chunk: Frames rendered at once, of all videos together. "auto": as many as memory allows and speed asks for.
        size: Width and height of each video in pixels, such as 512x288, of a model with a field decoder. None: as it
            was trained. Of odd sides, mp4 and webm repeat the last row or column.
        zoom: Show a part alone, of such a model, such as 0.5,0.25,4: its centre, x from the left and y from the top in
            [0, 1], and how many times it is magnified; the size stays. Way points between colons make a path over the
            whole file, such as 0.5,0.5,1:0.3,0.4,8.
        tile: Side of the parts that large frames are drawn in, in pixels; changes nothing but memory. None: as memory
            allows.
        compile: Compile the network before it draws (torch.compile): minutes, then faster where that pays. Frames
            differ by rounding.
    """

    ckpt: str
    out: str = "out"
    seed: int = 0
    truncation_psi: float = 1.0
    label: int | str | None = None
    data_fps: float | None = None
    format: Format | None = None
    crf: int | None = None
    overwrite: bool = False
    device: str = "auto"
    chunk: int | Literal["auto"] = "auto"
    size: str | None = None
    zoom: str | None = None
    tile: int | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        _positive("data_fps", self.data_fps)
        _finite("truncation_psi", self.truncation_psi)
        if not 0 <= self.seed < NUM_SEEDS:
            raise InputError(f"seed: {self.seed}: give a number from 0 to {NUM_SEEDS - 1}")
        if isinstance(self.chunk, int):
            _count("chunk", self.chunk)
        if self.tile is not None:
            _count("tile", self.tile)


@dataclass(frozen=True, kw_only=True)
class ClipOptions(Options):
    """What `Options` hold, and which stretch of time is drawn.

    Args:
        seconds: Length of the files. None: 5, or as num_frames says.
        num_frames: Length of the files, in frames of theirs, in place of seconds.
        fps: Frames per second of the files; frames between those of the data are rendered, not blended. None: data_fps.
        start: Moment of the first frame, seconds, fractions allowed.
        speed: 1 is natural, 0.5 slow motion, -1 backwards from the start.
    """

    seconds: float | None = None
    num_frames: int | None = None
    fps: float | None = None
    start: float = 0.0
    speed: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive("seconds", self.seconds)
        _positive("fps", self.fps)
        _finite("start", self.start)
        _finite("speed", self.speed)
        if self.start < 0:
            raise InputError(f"start: {self.start:g}: a video begins at 0: give a moment from there on, in seconds")
        if self.speed == 0:
            raise InputError("speed: 0 would show one moment for ever: give another number, negative for backwards")
        if self.num_frames is not None:
            _count("num_frames", self.num_frames)
            if self.seconds is not None:
                raise InputError("num_frames: seconds is given as well: give one of the two")

    def count(self, fps: float) -> int:
        """How many frames a file of this rate has; at least one.

        Raises:
            InputError: More than a file can hold.
        """
        if self.num_frames is not None:
            return self.num_frames
        frames = (_SECONDS if self.seconds is None else self.seconds) * fps
        if frames > MAX_FRAMES:
            raise InputError(f"seconds: {self.seconds:g} are {frames:g} frames: give at most {MAX_FRAMES} of them")
        return max(1, round(frames))


@dataclass(frozen=True, kw_only=True)
class Several:
    """Which videos, and how many share a file.

    Args:
        num_videos: How many videos: numbers 0, 1, ... of the seed. None: one, or as many as the grid has places.
        videos: Numbers of the videos instead, such as 0,5,7-9.
        seeds: Several seeds instead, such as 0,5,7-9; of each its first video.
        grid: Tile all videos in one file of the folder; 3x5 is three rows of five.
    """

    num_videos: int | None = None
    videos: str | None = None
    seeds: str | None = None
    grid: bool | str = False

    def __post_init__(self) -> None:
        if self.num_videos is not None:
            _count("num_videos", self.num_videos)
        ways = [key for key in ("num_videos", "videos", "seeds") if getattr(self, key) is not None]
        if len(ways) > 1:
            raise InputError(f"{ways[1]}: {ways[0]} is given as well: give one of the two")


@dataclass(frozen=True, kw_only=True)
class ClipsOptions(ClipOptions, Several):
    """Clips of several videos."""

    def __post_init__(self) -> None:
        ClipOptions.__post_init__(self)
        Several.__post_init__(self)


@dataclass(frozen=True, kw_only=True)
class FramesOptions(Options, Several):
    """Frames of several videos, without a rate."""

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        Several.__post_init__(self)


@dataclass(frozen=True, kw_only=True)
class PlaybackOptions:
    """Which frames of a fitted video are drawn, and at which size; None: as the video has them.

    Args:
        scale: How many times larger than the video frames are, such as 2 or 3.7.
        size: Width and height instead, such as 1920x1080.
        window: Show a part alone: top, left, bottom and right in pixels of the result, such as 0,0,64,128.
        fps: Frames per second of the file; those between frames of the video are drawn, not blended.
        speed: 1 is natural, 0.25 slow motion.
        slow: How many times longer everything takes, in place of speed.
        start: Moment of the first frame, in seconds of the video.
        seconds: Length of the file. None: to the end of the video.
        num_frames: Length of the file, in frames of it, in place of seconds.
        data_fps: Frames per second of the video. None: as the checkpoint says.
        crf: Quality of mp4, webm and webp, 0 is best. None: hardly to be told from the frames.
        device: "cpu", "cuda", "cuda:1", ... or "auto": a GPU where there is one.
        overwrite: Whether to replace a file that was made with other settings; one made with the same is kept.
    """

    scale: float | None = None
    size: str | None = None
    window: str | None = None
    fps: float | None = None
    speed: float | None = None
    slow: float | None = None
    start: float = 0.0
    seconds: float | None = None
    num_frames: int | None = None
    data_fps: float | None = None
    crf: int | None = None
    device: str = "auto"
    overwrite: bool = False

    def __post_init__(self) -> None:
        for key in ("fps", "speed", "slow", "seconds", "data_fps"):
            _positive(key, getattr(self, key))
        _finite("start", self.start)
        if self.start < 0:
            raise InputError(f"start: {self.start:g}: a video begins at 0: give a moment from there on, in seconds")
        if self.num_frames is not None:
            _count("num_frames", self.num_frames)
        for one, other in (("speed", "slow"), ("seconds", "num_frames")):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise InputError(f"{one}: {other} is given as well: give one of the two")


@dataclass(frozen=True, kw_only=True)
class InpaintOptions:
    """What is filled, and by which field.

    Args:
        video: A video file, or a folder or zip of frames.
        mask: A picture, or a video, folder or .npy array with a picture for each frame: white is filled, black is kept.
        out: A file name (.mp4, .webm, .gif, .webp, .npy, ...); without such an end, a folder of png files.
        fit_config: Says which field is fitted and how; its data are those given here, all of its frames.
        ckpt: A field that was fitted with this mask already, instead.
        truth: The video without damage, for figures; the video itself where what the mask hides of it is the truth.
        run: Folder of the fit; the same command goes on with it. None: runs/inpaint_ and the name of the result.
        updates: Length of the fit. None: as the config says.
        keep_visible: Take what is visible from the video; else all is drawn by the field.
        fps: Frames per second of a folder of pictures.
        crf: Quality of mp4, webm and webp, 0 is best. None: hardly to be told from the frames.
        device: Where the result is drawn: "cpu", "cuda", "cuda:1", ... or "auto": a GPU where there is one.
        overwrite: Whether to replace a file that was made with other settings; one made with the same is kept.
    """

    video: str
    mask: str
    out: str = "filled.mp4"
    fit_config: str = "configs/fields/nvp_inpaint.yaml"
    ckpt: str | None = None
    truth: str | None = None
    run: str | None = None
    updates: int | None = None
    keep_visible: bool = True
    fps: float = 25.0
    crf: int | None = None
    device: str = "auto"
    overwrite: bool = False

    def __post_init__(self) -> None:
        _positive("fps", self.fps)
        if self.updates is not None:
            _count("updates", self.updates)


def _positive(key: str, value: float | None) -> None:
    if value is not None and not 0 < value < math.inf:
        raise InputError(f"{key}: {value:g}: give a number above 0")


def _finite(key: str, value: float) -> None:
    if not math.isfinite(value):
        raise InputError(f"{key}: {value:g}: give a number")


def _count(key: str, value: int) -> None:
    if not 0 < value <= MAX_FRAMES:
        raise InputError(f"{key}: {value}: give a number from 1 to {MAX_FRAMES}")
