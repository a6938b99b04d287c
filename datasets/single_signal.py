"""One video that a field is fitted to: kept once as bytes, and drawn from by the pixel or by the frame.

Every draw is a function of (seed, update, number), the same on every device and however many processes share it. So a
run that continues sees what it would have seen.

Shape legend
    F       frames of the video, or of a draw
    H, W    height and width
    N       pixels of a draw
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Int64, UInt8
from PIL import Image
from torch import Tensor

from datasets.index import scan
from datasets.memory import available_memory, gigabytes
from datasets.sources import Source
from datasets.visibility import Visible
from errors import InputError

_WORD, _GOLDEN = 2**64, 0x9E3779B97F4A7C15
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))
_READ_TOGETHER = 8  # frames


def _signed(word: int) -> int:
    """A word of 64 bits as the number that torch holds."""
    return (word + 2**63) % _WORD - 2**63


def _mixed(x: int) -> int:
    for shift, factor in _MIX:
        x = (x ^ x >> shift) * factor % _WORD
    return x


def draws(key: Sequence[int], numbers: Int64[Tensor, " N"]) -> Int64[Tensor, " N"]:
    """Random numbers in [0, 2^63), one for each number (SplitMix64, Steele et al. 2014).

    Args:
        key: Which stream: the same for the same integers.
        numbers: Which draws of it; the result lies where they do.
    """
    word = 0
    for part in key:
        word = _mixed((word + part + _GOLDEN) % _WORD)
    x = numbers * _signed(_GOLDEN) + _signed(word)
    for shift, factor in _MIX:
        logical = (x >> shift) & ((1 << (64 - shift)) - 1)  # torch repeats the sign
        x = (x ^ logical) * _signed(factor)
    return x & (2**63 - 1)


class SingleSignal:
    """A video in memory, as bytes.

    Args:
        frames: Of the video.
        name: For messages.
        fps: Frames per second.

    Attributes:
        size: Frames, height and width.
        visible: What of it is seen; None: all.
        every: The field that is fitted counts every so-manieth frame: 2 where odd ones are held out.
        held_out: Numbers of frames that are kept for measuring, and never seen.
        mask: What a mask hides, those frames apart; None: nothing.
        truth_known: Whether what a mask hides is what should stand there.

    Raises:
        InputError: It has fewer than two frames.
    """

    visible: Visible | None = None
    every: int = 1
    held_out: tuple[int, ...] = ()
    mask: Bool[Tensor, "F H W"] | None = None
    truth_known: bool = True

    def __init__(self, frames: UInt8[Tensor, "F 3 H W"], name: str = "video", fps: float = 25.0) -> None:
        if len(frames) < 2:
            raise InputError(f"{name}: has {len(frames)} frame: a field of time needs at least two")
        self.name, self.fps = name, fps
        self.size: tuple[int, int, int] = (len(frames), frames.shape[2], frames.shape[3])
        self.pixels: UInt8[Tensor, "pixels 3"] = rearrange(frames, "f c h w -> (f h w) c").contiguous()

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        return self.pixels.numel() + (0 if self.visible is None else self.visible.num_bytes)

    @property
    def field_size(self) -> tuple[int, int, int]:
        """Frames, height and width that a field is built for: frame ``every * k`` is its frame k."""
        return (-(-self.size[0] // self.every), *self.size[1:])

    def hide(self, hidden: Bool[Tensor, "F H W"], what: str) -> None:
        """Keeps pixels from training, in addition to frames that are held out.

        Args:
            hidden: Which.
            what: For messages: where the mask comes from.

        Raises:
            InputError: Nothing is hidden, or nothing left to be seen.
        """
        if not hidden.any():
            raise InputError(f"{what}: hides no pixel: what is white in it is hidden; leave it out to fit to all")
        self.mask = hidden
        self._see(hidden | self.visible.hidden if self.visible is not None else hidden, what)

    def hold_out(self, frames: Sequence[int] | str) -> None:
        """Keeps frames from training.

        Args:
            frames: Their numbers; or "odd", for every other one, where the field counts the others alone.

        Raises:
            InputError: There are no such frames, or fewer than two others.
        """
        total = self.size[0]
        if isinstance(frames, str) and frames != "odd":
            raise InputError(f"data.held_out: {frames!r}: give odd, or a list of numbers of frames")
        numbers = range(1, total, 2) if isinstance(frames, str) else sorted(set(frames))
        if not numbers or not 0 <= numbers[0] <= numbers[-1] < total:
            raise InputError(f"data.held_out: {list(numbers)}: give numbers of frames from 0 to {total - 1}")
        if total - len(numbers) < 2:
            raise InputError(f"data.held_out: of {total} frames {len(numbers)} are held out: leave at least two")
        hidden = torch.zeros(total, dtype=torch.bool)
        hidden[list(numbers)] = True
        self.every, self.held_out = (2 if isinstance(frames, str) else 1), tuple(numbers)
        self._see(hidden[:, None, None].expand(self.size), "data.held_out")

    def _see(self, hidden: Bool[Tensor, "F H W"], what: str) -> None:
        try:
            self.visible = Visible(hidden)
        except InputError as error:
            raise InputError(f"{what}: {error}") from error

    def to(self, device: torch.device) -> SingleSignal:
        """Moves it; gives itself."""
        self.pixels = self.pixels.to(device)
        self.visible = None if self.visible is None else self.visible.to(device)
        return self

    def pixel_numbers(self, key: Sequence[int], numbers: range) -> Int64[Tensor, " N"]:
        """Pixels drawn evenly of those that are seen, with repetition, counted frame by frame and row by row.

        Args:
            key: (seed, update).
            numbers: Which draws: the part of this process.
        """
        order = torch.arange(numbers.start, numbers.stop, device=self.pixels.device)
        if self.visible is None:
            return draws(key, order) % len(self.pixels)
        return self.visible.pixels(draws(key, order) % self.visible.count)

    def frame_numbers(self, seed: int, numbers: range) -> list[int]:
        """Frames in an order in which each that is seen comes once before any comes again; a new order each time.

        Args:
            seed: Of the orders.
            numbers: Which places of the endless row of them.
        """
        seen, found = range(self.size[0]) if self.visible is None else self.visible.frames, []
        count = len(seen)
        for number in numbers:
            epoch, place = divmod(number, count)
            found.append(seen[int(draws((seed, epoch), torch.arange(count)).argsort(stable=True)[place])])
        return found

    def frames(self, numbers: Sequence[int]) -> UInt8[Tensor, "F 3 H W"]:
        """Frames by number, in the order given."""
        pixels = rearrange(self.pixels, "(f h w) c -> f c h w", f=self.size[0], h=self.size[1])
        return pixels[list(numbers)].contiguous()

    def seen(self, numbers: Sequence[int]) -> tuple[UInt8[Tensor, "F 3 H W"], Bool[Tensor, "F 1 H W"]]:
        """Frames by number, black where they are hidden, and where they are not.

        Args:
            numbers: Of the frames; something is hidden.
        """
        visible = self.visible.seen(numbers)[:, None]
        return self.frames(numbers) * visible, visible


def open_video(path: str | Path, fps: float, cache_dir: str | Path | None = None) -> tuple[str, Source]:
    """The one video that a path means, by its name.

    Args:
        path: A video file, a folder of frames, a zip of frames, or a folder with one of these.
        fps: Frames per second of images, which do not say.
        cache_dir: Where the scan is remembered; None: stylegan_v in $XDG_CACHE_HOME or ~/.cache.

    Raises:
        InputError: It cannot be read, or means several.
    """
    index = scan(path, fps=fps, cache_dir=cache_dir, progress=False, random_access=False)
    if len(index.videos) > 1:
        some = index.videos[0].name
        raise InputError(
            f"{path}: holds {len(index.videos)} videos, a field is fitted to one: give one, such as {some}"
        )
    return str(path), index.open(0)


def read_signal(
    name: str, source: Source, first: int = 0, num_frames: int | None = None, size: Sequence[int] | None = None
) -> SingleSignal:
    """A part of a video in memory.

    Args:
        name: For messages.
        source: The video.
        first: The first frame.
        num_frames: At most so many; None: all that follow.
        size: Height and width that frames are brought to; None: their own.

    Raises:
        InputError: There are no such frames, or they do not fit into memory.
    """
    if not 0 <= first < len(source) or (num_frames is not None and num_frames < 1):
        raise InputError(f"{name}: has {len(source)} frames: give data.first below that, and data.num_frames above 0")
    count = min(len(source) - first, num_frames or len(source))
    height, width = source.size if size is None else (int(side) for side in size)
    if min(height, width) < 1:
        raise InputError(f"size {height} x {width}: give height and width in pixels")
    check_memory(name, (count, height, width))
    frames = torch.empty(count, 3, height, width, dtype=torch.uint8)
    for start in range(0, count, _READ_TOGETHER):
        part = slice(start, min(start + _READ_TOGETHER, count))
        frames[part] = _resized(source.read(range(first + part.start, first + part.stop)), height, width)
    return SingleSignal(frames, name, source.fps)


def check_memory(name: str, size: Sequence[int], available: int | None = None) -> None:
    """Refuses a video that does not fit into memory, where it is for a moment twice.

    Args:
        name: For the message.
        size: Frames, height and width.
        available: Bytes; None: what the machine says.
    """
    needed = 2 * 3 * size[0] * size[1] * size[2]
    left = available_memory(torch.device("cpu")) if available is None else available
    if left is not None and needed > left:
        raise InputError(
            f"{name}: {size[0]} frames of {size[1]}x{size[2]} take {gigabytes(needed)}, {gigabytes(left)} are left: "
            "give data.num_frames or a smaller data.size"
        )


def _resized(frames: UInt8[Tensor, "F 3 H W"], height: int, width: int) -> UInt8[Tensor, "F 3 _ _"]:
    if frames.shape[2:] == (height, width):
        return frames
    pictures = [Image.fromarray(frame.permute(1, 2, 0).numpy()) for frame in frames]
    scaled = [np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS)) for picture in pictures]
    return torch.from_numpy(np.stack(scaled)).permute(0, 3, 1, 2)
