"""Latents and times to frames, in chunks: memory does not grow with the length of a video.

A video is addressed by (seed, number): content noise, label and every motion noise code are functions of these alone,
so any window in time can be rendered by itself, in chunks of any size, on any device, and shows the same frames.

Shape legend
    B       videos rendered side by side
    F       frames of a whole video, f of one chunk
    L, D    layers that take a style, and the dimension of one
    K, Z    motion noise codes and the dimension of one
    C       dimension of the label
    Y, X    height and width: native, or of a window
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F

from errors import InputError
from stylegan_v.networks import Generator
from stylegan_v.networks.folding import FoldedSynthesis, can_fold
from stylegan_v.networks.synthesis import NoiseMode, SynthesisNetwork
from stylegan_v.networks.time_encoding import float64_device
from stylegan_v.networks.view import View
from stylegan_v.noise import AddressedRandom

Window = tuple[int, int, int, int]
Finish = Callable[[Tensor], Tensor]  # frames in [-1, 1] to what is given out

_CODES_PER_BLOCK = 32
_SAMPLES_PER_MEAN = 1000
_FOLDED_FRAMES = 4  # fewer of a video are not worth folding it: measured from 64 to 256 px
_CHUNKS_PER_WINDOW = 16  # RGB images of so many take about the memory of the features of one
_LAST_TIME = 2.0**53  # float64 does not know every whole number of frames beyond


@runtime_checkable
class NoiseSource(Protocol):
    """Motion noise of endless videos, by the number of the code."""

    def window(self, first: int, num: int) -> Float[Tensor, "B K Z"]:
        """Noise codes first ... first + num - 1, none of them negative."""


@dataclass
class MotionNoise:
    """Motion noise of endless videos: code i of a video is a function of (seed, video, i), made when it is asked for.

    Codes are numbered from 0 without an end.

    Args:
        seed: Of the sampling run.
        videos: Numbers of the videos; equal numbers move alike.
        dim: Z.
    """

    seed: int
    videos: Int64[Tensor, " B"]
    dim: int
    _blocks: dict[int, Tensor] = field(default_factory=dict, repr=False)

    def window(self, first: int, num: int) -> Float[Tensor, "B K Z"]:
        """Noise codes first ... first + num - 1, none of them negative."""
        start = first // _CODES_PER_BLOCK
        stop = -(-(first + num) // _CODES_PER_BLOCK)
        # Neighbouring windows share most of their blocks: keep those, forget the ones that time has left behind.
        self._blocks = {i: self._blocks[i] for i in range(start, stop) if i in self._blocks}
        for i in range(start, stop):
            if i not in self._blocks:
                self._blocks[i] = self._draw(i)
        codes = torch.cat([self._blocks[i] for i in range(start, stop)], dim=1)
        offset = first - start * _CODES_PER_BLOCK
        return codes[:, offset : offset + num]

    def _draw(self, block: int) -> Float[Tensor, "B k Z"]:
        # An address has 32 bits for the block; each further 2^32 of them are a stream of their own.
        stream = f"motion/{block >> 32}" if block >> 32 else "motion"
        random = AddressedRandom(self.seed, block, stream, self.videos)
        return random.normal("motion_z", _CODES_PER_BLOCK, self.dim)


@dataclass(frozen=True)
class VideoLatents:
    """Everything that decides what videos show.

    Args:
        ws: Styles.
        motion: Where their motion noise comes from.
        c: Labels; None without labels.
    """

    ws: Float[Tensor, "B L D"]
    motion: NoiseSource
    c: Float[Tensor, "B C"] | None = None

    def __len__(self) -> int:
        return len(self.ws)


def frame_times(seconds: float, fps: float, data_fps: float, start: float = 0.0) -> Float64[Tensor, " F"]:
    """Times of a video, in frames of the training data.

    Args:
        seconds: Length; at least one frame results.
        fps: Frames per second of the video to be made.
        data_fps: Frames per second of the training data.
        start: First moment shown, seconds.
    """
    return (start + torch.arange(max(1, round(seconds * fps)), dtype=torch.float64) / fps) * data_fps


@torch.no_grad()
def draw_latents(
    generator: Generator,
    seed: int,
    videos: Sequence[int],
    *,
    motion_videos: Sequence[int] | None = None,
    c: Float[Tensor, "B C"] | None = None,
    truncation_psi: float = 1.0,
    truncation_cutoff: int | None = None,
) -> VideoLatents:
    """Latents of the videos with these numbers.

    Args:
        generator: The network they are for; decides the device.
        seed: Of the sampling run.
        videos: Numbers of the videos.
        motion_videos: Whose motion they show; None is their own.
        c: Labels; None draws classes where the generator has labels.
        truncation_psi: 1 leaves the styles, 0 replaces them by the mean style (of the class).
        truncation_cutoff: Truncate only the first so many layers.
    """
    device = generator.mapping.w_avg.device
    draws_on = float64_device(device)
    numbers = torch.tensor(list(videos), dtype=torch.int64, device=draws_on)
    random = AddressedRandom(seed, 0, "content", numbers)
    if generator.c_dim == 0:
        c = None
    elif c is None:
        c = F.one_hot((random.uniform("label") * generator.c_dim).long(), generator.c_dim).float().to(device)
    z = random.normal("z", generator.z_dim).to(device)
    ws = generator.mapping(z, c, update_w_avg=False)
    if truncation_psi != 1:
        cutoff = generator.num_ws if truncation_cutoff is None else truncation_cutoff
        truncated = torch.lerp(_mean_style(generator, c), ws[:, :cutoff], truncation_psi)
        ws = torch.cat([truncated, ws[:, cutoff:]], dim=1)
    moving = numbers if motion_videos is None else torch.tensor(list(motion_videos), dtype=torch.int64, device=draws_on)
    return VideoLatents(ws, MotionNoise(seed, moving, generator.synthesis.motion.z_dim), c)


def render(
    generator: Generator,
    latents: VideoLatents,
    t: Float64[Tensor, " F"],
    *,
    chunk: int = 16,
    noise_mode: NoiseMode = "const",
    size: Sequence[int] | None = None,
    window: Sequence[int] | None = None,
) -> Iterator[UInt8[Tensor, "B f 3 Y X"]]:
    """The frames of the videos in order, a few of every video at a time.

    A frame depends on its time alone, whichever others are rendered with it: motion is exact at any time (see
    `networks.exact_motion`), and only the rounding of float32 convolutions differs from chunk to chunk.

    For a single video the network is folded once (see `networks.folding`). Several take turns: the network is folded
    for one of them and renders up to ``chunk`` of its frames, of which no more than 16 chunks are held. Where time
    enters the styles or scales the features, and for three frames or fewer at a turn, the network is used as it is.

    Args:
        generator: The network, in any mode; its running averages do not move.
        latents: What the videos show.
        t: Times in frames of the training data, not negative, in any order.
        chunk: Largest number of frames, of all videos together, that the network works on at once.
        noise_mode: Of the noise inputs, where the generator has them. "const" shows the same noise in every frame.
        size: Height and width of whole frames in pixels; None is native. Other sizes and windows need a decoder. Of
            large views, fewer frames are given out at once.
        window: (y0, x0, y1, x1) in pixels of these frames, half open; None is the whole frame.

    Raises:
        InputError: A time is negative or no number, or there is no such view.
    """
    return _render(generator, latents, t, chunk, noise_mode, to_uint8, View.of(generator.resolution, size, window))


def render_float(
    generator: Generator,
    latents: VideoLatents,
    t: Float64[Tensor, " F"],
    *,
    chunk: int = 16,
    noise_mode: NoiseMode = "const",
    size: Sequence[int] | None = None,
    window: Sequence[int] | None = None,
) -> Iterator[Float[Tensor, "B f 3 Y X"]]:
    """As `render`, nominally in [-1, 1] and not yet clamped."""
    view = View.of(generator.resolution, size, window)
    return _render(generator, latents, t, chunk, noise_mode, lambda frames: frames, view)


def tiles(size: Sequence[int], tile: int) -> list[Window]:
    """Windows (y0, x0, y1, x1) of at most ``tile`` a side that cover a frame, row by row."""
    height, width = View.of((1, 1), size).shape
    return [
        (y, x, min(y + tile, height), min(x + tile, width))
        for y in range(0, height, tile)
        for x in range(0, width, tile)
    ]


def to_uint8(frames: Float[Tensor, "*any"]) -> UInt8[Tensor, "*any"]:
    """Frames in [-1, 1] as bytes, as the original's metrics round them."""
    return (127.5 * frames + 128).clamp(0, 255).to(torch.uint8)


def _check_times(t: Float64[Tensor, " F"]) -> None:
    wrong = t[~((t >= 0) & (t <= _LAST_TIME))]
    if len(wrong):
        raise InputError(f"times: {wrong[0]:g}: a video has times from 0 to {_LAST_TIME:g}, in frames: give others")


def _render(
    generator: Generator,
    latents: VideoLatents,
    t: Float64[Tensor, " F"],
    chunk: int,
    noise_mode: NoiseMode,
    finish: Finish,
    view: View,
) -> Iterator[Tensor]:
    """The frames, finished in some way; times and view are checked before anything is drawn."""
    _check_times(t)
    if not view.native(generator.resolution):
        _check_decoder(generator)
    num_videos = len(latents)
    pixels, native = (math.prod(shape) for shape in (view.shape, generator.resolution))
    chunk = max(1, chunk * native // max(native, pixels))
    together = max(1, chunk // num_videos)
    apart = max(together, min(chunk, _CHUNKS_PER_WINDOW * chunk // num_videos) // together * together)
    frames_per_fold = len(t) if num_videos == 1 else min(apart, len(t))
    if can_fold(generator.synthesis) and frames_per_fold >= _FOLDED_FRAMES:
        draw, window = _one_video_at_a_time(generator.synthesis, latents.ws, noise_mode, finish, view), apart
    else:
        draw, window = _all_videos_at_once(generator.synthesis, latents.ws, noise_mode, finish, chunk, view), together
    return _chunks(generator, latents, t, draw, window, together)


def _check_decoder(generator: Generator) -> None:
    if generator.decoder is None:
        raise InputError("size, window: this generator has no decoder: give one that has, or leave them out")


@torch.no_grad()
def _chunks(
    generator: Generator,
    latents: VideoLatents,
    t: Float64[Tensor, " F"],
    draw: Callable[[Tensor], Tensor],
    window: int,
    together: int,
) -> Iterator[Tensor]:
    """Frames of ``window`` times at once, given out ``together`` at a time."""
    path = generator.synthesis.motion.path(latents.motion.window, latents.c)
    for times in t.split(window):
        yield from draw(path(times).to(latents.ws.device)).split(together, dim=1)


def _one_video_at_a_time(
    synthesis: SynthesisNetwork, ws: Float[Tensor, "B L D"], noise_mode: NoiseMode, finish: Finish, view: View
) -> Callable[[Tensor], Tensor]:
    """Embeddings [B, f, V] to frames, by networks that are folded for one video each; a single one is folded once."""
    folded = lru_cache(maxsize=1)(lambda video: FoldedSynthesis(synthesis, ws[video], noise_mode))
    return lambda motion_v: torch.stack([finish(folded(video)(v, view)) for video, v in enumerate(motion_v)])


def _all_videos_at_once(
    synthesis: SynthesisNetwork,
    ws: Float[Tensor, "B L D"],
    noise_mode: NoiseMode,
    finish: Finish,
    chunk: int,
    view: View,
) -> Callable[[Tensor], Tensor]:
    """Embeddings [B, f, V] to frames, by the network as it is."""
    seen = {"noise_mode": noise_mode, "size": view.size, "window": view.window}

    def draw(motion_v: Tensor) -> Tensor:
        groups = zip(ws.split(chunk), motion_v.split(chunk), strict=True)
        return torch.cat([finish(synthesis.frames(w, v, **seen)) for w, v in groups])

    return draw


def _mean_style(generator: Generator, c: Float[Tensor, "B C"] | None) -> Tensor:
    """Mean style to truncate towards: the running mean, or [B, 1, D] over fresh noise for each video's own label."""
    if c is None:
        return generator.mapping.w_avg
    numbers = torch.arange(_SAMPLES_PER_MEAN, device=float64_device(c.device))
    z = AddressedRandom(0, 0, "mean_style", numbers).normal("z", generator.z_dim).to(c.device)
    labels, video_label = c.unique(dim=0, return_inverse=True)
    means = [generator.mapping(z, label.expand(len(z), -1), update_w_avg=False)[:, 0].mean(dim=0) for label in labels]
    return torch.stack(means)[video_label].unsqueeze(1)
