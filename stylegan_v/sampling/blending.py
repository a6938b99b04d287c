"""Journeys from video to video: content interpolated between styles, motion between codes of motion noise.

Shape legend
    K       key videos, through which a journey goes
    T       moments
    S       motion codes; n motion noise codes that they are made of
    L, D    layers that take a style, and the dimension of one
    Z       dimension of a motion noise code
    C       dimension of the label
    V       values of the embedding

Content is interpolated in w, after truncation: ws = (1 - s) ws_a + s ws_b, where s goes from 0 to 1 between two keys.

Motion is interpolated code by code. Motion code i lies at the time t_i, where the journey has come to the share s_i; it
is computed from the noise

    z = cos(pi s_i / 2) z_a + sin(pi s_i / 2) z_b

of itself and of all codes in reach. As cos^2 + sin^2 = 1 and the noise of two videos is independent and normal, z is
distributed as the noise of any video: motion keeps its variance on the way. Between two codes, phases run as those of
any video do; they would whirl if the codes themselves moved with the frame, since time multiplies what they predict.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from errors import InputError
from stylegan_v.networks import Generator, Motion, MotionEncoder, Motionless
from stylegan_v.networks.exact_motion import ExactPath
from stylegan_v.networks.motion_interface import NoiseWindow, Path
from stylegan_v.networks.time_encoding import float64_device
from stylegan_v.rendering import VideoLatents, to_uint8
from stylegan_v.sampling.latents import Chosen
from stylegan_v.sampling.looking import Draw
from stylegan_v.sampling.looping import LoopedMotion

What = Literal["content", "motion", "both"]


@dataclass(frozen=True)
class Journey:
    """Which key videos a moment lies between, and how far it has come from one to the other.

    Args:
        num_keys: K.
        start: Time of the first key, frames.
        span: Frames from the first key to the last, or back to the first one; negative backwards.
        loop: Whether it goes on from the last key to the first.
        eased: Whether it slows down at every key; else its speed is constant.
    """

    num_keys: int
    start: float
    span: float
    loop: bool = False
    eased: bool = False

    def place(self, t: Float64[Tensor, " T"]) -> tuple[Int64[Tensor, " T"], Int64[Tensor, " T"], Float64[Tensor, " T"]]:
        """The keys before and after the moments ``t``, and the share of the second."""
        done = (t - self.start) / self.span if self.span else torch.zeros_like(t)
        if self.loop:
            position = done.remainder(1) * self.num_keys
            left = position.long().clamp(max=self.num_keys - 1)
            right = (left + 1) % self.num_keys
        else:
            position = done.clamp(0, 1) * (self.num_keys - 1)
            left = position.long().clamp(max=max(0, self.num_keys - 2))
            right = (left + 1).clamp(max=self.num_keys - 1)
        share = position - left
        return left, right, share * share * (3 - 2 * share) if self.eased else share


def styles_on(journey: Journey, ws: Float[Tensor, "K L D"], t: Float64[Tensor, " T"]) -> Float[Tensor, "T L D"]:
    """Styles at the moments ``t``."""
    left, right, share = (x.to(ws.device) for x in journey.place(t))
    return torch.lerp(ws[left], ws[right], share.to(ws.dtype)[:, None, None])


def motion_on(
    journey: Journey,
    encoder: MotionEncoder,
    noise: NoiseWindow,
    c: Float[Tensor, "K C"] | None = None,
    around: Callable[[NoiseWindow], NoiseWindow] = lambda noise: noise,
) -> Path:
    """The embeddings [1, T, V] of the video that goes from motion to motion, in float64; see the head of this file.

    Args:
        journey: Where moments lie between keys.
        encoder: Of motion.
        noise: Motion noise of the key videos.
        c: Their labels, interpolated linearly.
        around: How codes are numbered, where they are not endless (`LoopedMotion.around`).
    """
    device = float64_device(encoder.time_encoder.freqs.device)
    exact = copy.deepcopy(encoder).to(device, torch.float64).requires_grad_(False)
    labels = None if c is None else c.to(exact.time_encoder.freqs)

    def with_time(first: int, num: int) -> Float64[Tensor, "1 n kz"]:
        """Noise of all keys side by side, and the time of the code as one value more."""
        keys = rearrange(noise(first, num).to(exact.time_encoder.freqs), "k n z -> 1 n (k z)")
        times = exact.distance * torch.arange(first, first + num, device=keys.device, dtype=keys.dtype)
        return torch.cat([keys, times[None, :, None]], dim=2)

    def trajectory(codes: Float64[Tensor, "1 n kz"], _: None) -> Float64[Tensor, "1 S D"]:
        windows = codes[0].unfold(0, exact.reach + 1, 1)  # [S, K Z + 1, reach + 1]
        left, right, share = journey.place(windows[:, -1, 0])
        keys = rearrange(windows[:, :-1], "s (k z) n -> s k n z", k=journey.num_keys)
        each, quarter = torch.arange(len(keys), device=keys.device), (share * math.pi / 2)[:, None, None]
        before, after = keys[each, left], keys[each, right]
        same = (before == after).all(dim=2, keepdim=True)  # a video on the way to itself is not independent of itself
        blended = torch.where(same, before, quarter.cos() * before + quarter.sin() * after)
        label = None if labels is None else torch.lerp(labels[left], labels[right], share[:, None])
        return rearrange(exact.trajectory(blended, label), "s 1 d -> 1 s d")

    return ExactPath(
        trajectory,
        exact.reach,
        exact.time_encoder,
        exact.distance,
        around(with_time),
        codes_follow=exact.codes_follow,
    )


def check_blendable(motion: Motion) -> None:
    """Refuses motion that has no codes at given times.

    Raises:
        InputError: It depends on its whole past.
    """
    if not isinstance(motion, MotionEncoder | Motionless):
        raise InputError(
            f"what: {type(motion).__name__} depends on its whole past and has no way between: give content"
        )


def path_on(journey: Journey, motion: Motion, keys: VideoLatents, what: What) -> Path:
    """The embeddings [1, T, V] of the video that goes through the key videos.

    Args:
        journey: Where moments lie between keys.
        motion: Of the generator; `LoopedMotion` where the journey is a loop.
        keys: The key videos.
        what: Whether motion changes, or stays that of the first.
    """
    if what == "content" or isinstance(motion, Motionless):
        c = None if keys.c is None else keys.c[:1]
        return motion.path(Chosen(keys.motion, [0]).window, c)
    if isinstance(motion, LoopedMotion):
        path = motion_on(journey, motion.encoder, keys.motion.window, keys.c, motion.around)
        return lambda t: path(t.remainder(motion.length))
    return motion_on(journey, motion, keys.motion.window, keys.c)


def travel(
    generator: Generator, keys: VideoLatents, journey: Journey, what: What
) -> Callable[[Tensor, int], Iterator[Tensor]]:
    """What renders the one video that goes through the key videos.

    Args:
        generator: The network.
        keys: The key videos.
        journey: Where moments lie between keys.
        what: What changes; the rest stays that of the first key.

    Returns:
        Times [F], float64, and the largest number of frames at once, to frames [1, f, 3, H, W], bytes, in order.
    """
    on_the_way = _on_the_way(generator, keys, journey, what)

    @torch.no_grad()
    def render(t: Tensor, chunk: int) -> Iterator[Tensor]:
        for times in t.split(chunk):
            frames = generator.synthesis.frames(*on_the_way(times), noise_mode="const")
            yield to_uint8(rearrange(frames, "t 1 c h w -> 1 t c h w"))

    return render


def draw_travel(generator: Generator, keys: VideoLatents, journey: Journey, what: What) -> Draw:
    """What draws that video by a generator with a decoder, to be looked at in any view; arguments as for `travel`."""
    on_the_way = _on_the_way(generator, keys, journey, what)
    return lambda t: [generator.synthesis.draw(*on_the_way(t), noise_mode="const")]


def _on_the_way(
    generator: Generator, keys: VideoLatents, journey: Journey, what: What
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Times [T] to styles [T, L, D] and time embeddings [T, 1, V]."""
    path = path_on(journey, generator.synthesis.motion, keys, what)

    def at(t: Tensor) -> tuple[Tensor, Tensor]:
        ws = keys.ws[:1].expand(len(t), -1, -1) if what == "motion" else styles_on(journey, keys.ws, t)
        return ws, rearrange(path(t), "1 t v -> t 1 v").to(ws.device)

    return at
