"""What ``generate.py render`` does: a fitted field drawn at any size and rate, a frame at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor
from tqdm import tqdm

from datasets.settings import is_complete
from errors import InputError
from fields.coords import at_index, checked_window
from fields.interface import can_blend_time, ranges
from fields.playback.saving import find_place, save, to_bytes
from fields.playback.source import FittedVideo, open_fitted
from fields.playback.timing import Timing, choose_timing
from fields.upscaling.memory import check_result
from fields.upscaling.views import parse_target
from generate_options import PlaybackOptions

_BAND, _TOGETHER = 2**20, 16  # pixels, and frames, that are drawn together
_BYTES_PER_PIXEL = 24  # that a writer keeps, of frames that it waits for, over the copies that are counted

Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class Shown:
    """What of every frame is shown.

    Attributes:
        size: Height and width of whole frames.
        window: (y0, x0, y1, x1) of them.
    """

    size: tuple[int, int]
    window: Window

    @property
    def num_pixels(self) -> int:
        """Of a result."""
        y0, x0, y1, x1 = self.window
        return (y1 - y0) * (x1 - x0)


def choose_view(video: FittedVideo, options: PlaybackOptions) -> Shown:
    """What is shown, if it can be.

    Args:
        video: The field.
        options: What is asked for.

    Raises:
        InputError: It cannot.
    """
    own, same = video.size[1:], options.scale is None and options.size is None
    whole = own if same else parse_target(options.scale, options.size, None).view(own).size
    part = checked_window(None if options.window is None else _numbers(options.window), whole)
    shown = Shown(whole, part)
    # A field of whole frames draws them at once, and then reads what is asked for.
    computed = whole if video.whole_frames else (part[2] - part[0], part[3] - part[1])
    check_result(computed, _BYTES_PER_PIXEL, str(video.path))
    return shown


def _numbers(text: str) -> list[int]:
    parts = text.split(",")
    if len(parts) != 4 or not all(part.strip().isdigit() for part in parts):
        raise InputError(f"window: {text}: give top, left, bottom and right in pixels, such as 0,0,64,128")
    return [int(part) for part in parts]


def draw_frames(
    video: FittedVideo, timing: Timing, shown: Shown, advance: Callable[[int], object]
) -> Iterator[UInt8[Tensor, "F 3 h w"]]:
    """The frames of a file, a few at a time; memory does not grow with their number.

    Args:
        video: The field.
        timing: Which.
        shown: What of them.
        advance: Is told the number of pixels that were drawn, now and then.
    """
    y0, x0, y1, x1 = shown.window
    rows = y1 - y0 if video.whole_frames else max(1, _BAND // (x1 - x0))
    for part in ranges(timing.count, max(1, min(_TOGETHER, _BAND // shown.num_pixels))):
        places = torch.tensor([timing.index(number) for number in range(part.start, part.stop)])
        moments, bands = at_index(places, timing.length).tolist(), []
        for band in ranges(y1 - y0, rows):
            window = (y0 + band.start, x0, y0 + band.stop, x1)
            bands.append(to_bytes(video.frames(moments, shown.size, window, timing.between)))
            advance(bands[-1][:, 0].numel())
        yield torch.cat(bands, dim=2)


def render(ckpt: str, out: str, options: PlaybackOptions) -> None:
    """Writes a video of a field.

    Args:
        ckpt: Which field.
        out: The file, or a folder for pictures.
        options: Which frames, and how they are drawn.

    Raises:
        InputError: Something cannot be used; nothing that was there is changed.
    """
    video = open_fitted(ckpt, options.device)
    timing = choose_timing(options, video.size[0], video.fps, str(video.path))
    path = find_place(out, timing.count)
    shown = choose_view(video, options)
    settings = _settings(video, timing, shown, options.crf)
    complete = is_complete(path, settings, overwrite=options.overwrite, folders=True)
    if not complete:
        total = timing.count * shown.num_pixels
        with tqdm(total=total, unit="px", unit_scale=True, disable=None, desc=path.name) as progress:
            save(path, draw_frames(video, timing, shown, progress.update), timing.fps, options.crf, settings)
    height, width = shown.window[2] - shown.window[0], shown.window[3] - shown.window[1]
    text = f"{path}: {timing.count} frames of {width}x{height} pixels, {float(timing.fps):g} per second"
    print(text + (" (complete already)" if complete else ""), *_remarks(video, timing, shown), sep="\n")


def _settings(video: FittedVideo, timing: Timing, shown: Shown, crf: int | None) -> dict[str, Any]:
    """What decides what the file shows."""
    return {
        "command": "render",
        "checkpoint": {"sha256": video.checkpoint},
        "size": list(shown.size),
        "window": list(shown.window),
        "first": str(timing.first),
        "step": str(timing.step),
        "num_frames": timing.count,
        "fps": str(timing.fps),
        "crf": crf,
    }


def _remarks(video: FittedVideo, timing: Timing, shown: Shown) -> Iterator[str]:
    """What a field could not do itself."""
    if video.whole_frames and shown.size != video.size[1:]:
        made = "x".join(map(str, reversed(video.size[1:])))
        yield f"{video.name} makes frames of {made} pixels: these were resampled, linearly"
    if timing.between and not can_blend_time(video.field) and video.whole_frames:
        yield f"{video.name} knows its own frames: those between them are what its network makes of such moments"
