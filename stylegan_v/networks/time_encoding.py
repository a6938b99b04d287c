"""Where moments lie between motion codes, and the acyclic encoding of any moment (StyleGAN-V, section 3.1).

Shape legend
    B, T    videos and frames of a video; N = B * T frames folded together
    D       dimension of a motion code
    P       values that are predicted from one code
    V       values of the embedding
    F       frequencies; V = 2 F
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int64, Real
from torch import Tensor, nn

from stylegan_v.networks.layers import EqualizedLinear


def time_frequencies(num: int, min_period: float, max_period: float) -> Float[Tensor, "1 F"]:
    """Angular frequencies 2 pi / P, ascending, with log-spaced periods P from ``max_period`` down to ``min_period``."""
    periods = torch.logspace(math.log2(max_period), math.log2(min_period), num, base=2.0, dtype=torch.float64)
    return (2 * math.pi / periods).float().unsqueeze(0)


@dataclass(frozen=True)
class Segments:
    """Where frames lie between motion codes; all tensors [B, T], in the time's own number type unless said otherwise.

    Attributes:
        index: Number of the code at or before the frame, int64.
        t: Time of the frame.
        t_left: Time of that code.
        t_right: Time of the next code.
        weight: Share of the next code, in [0, 1), float32 or as asked for.
        distance: Frames between two codes.
    """

    index: Int64[Tensor, "B T"]
    t: Tensor
    t_left: Tensor
    t_right: Tensor
    weight: Float[Tensor, "B T"]
    distance: float


def locate(t: Tensor, distance: float, dtype: torch.dtype = torch.float32) -> Segments:
    """The segments of times ``t`` [B, T] between codes ``distance`` frames apart; ``dtype`` is that of the weights."""
    since_left = t % distance
    index = torch.div(t, distance, rounding_mode="floor").long()
    t_left = t - since_left
    return Segments(index, t, t_left, t_left + distance, since_left.to(dtype) / distance, distance)


def followed_by_codes(
    embedding: Float[Tensor, "N V"], left: Float[Tensor, "N D"], right: Float[Tensor, "N D"], segments: Segments
) -> Float[Tensor, "N VA"]:
    """Embeddings with the share of the segment, the code before and the code after each frame behind them."""
    share = rearrange(segments.weight, "b t -> (b t) 1")
    return torch.cat([embedding, share, left, right], dim=1)


def float64_device(device: torch.device) -> torch.device:
    """Where float64 is computed for tensors on ``device``: there, or on the CPU where the device has no float64."""
    return torch.device("cpu") if device.type == "mps" else device


class TimeEncoding(nn.Module, ABC):
    """Motion codes before and after a moment to its embedding: what every encoding of time has and offers.

    It works in two steps, so that what depends on a single code can be predicted once for all frames around it.

    Args:
        v_dim: D.
        num_frequencies: F.
        min_period: Shortest period, frames.
        max_period: Longest period, frames.
    """

    freqs: Tensor

    def __init__(
        self, v_dim: int = 512, num_frequencies: int = 256, min_period: float = 16, max_period: float = 1024
    ) -> None:
        super().__init__()
        self.v_dim, self.num_frequencies = v_dim, num_frequencies
        self.min_period, self.max_period = min_period, max_period
        self.out_dim = 2 * num_frequencies
        self.register_buffer("freqs", time_frequencies(num_frequencies, min_period, max_period))
        self.periods_predictor = EqualizedLinear(v_dim, num_frequencies, bias=False)
        self.phase_predictor = EqualizedLinear(v_dim, num_frequencies, bias=False)
        self.aligners_predictor = EqualizedLinear(v_dim, self.out_dim, bias=False)

    def forward(
        self, left: Float[Tensor, "N D"], right: Float[Tensor, "N D"], segments: Segments
    ) -> Float[Tensor, "N V"]:
        """The embedding v of N = B * T frames from the codes before and after each."""
        return self.between(self.predict(left), self.predict(right), segments)

    def predict(self, codes: Float[Tensor, "N D"]) -> Float[Tensor, "N P"]:
        """What each code alone decides: for every frequency a rate and a phase, then the aligners, side by side."""
        return torch.cat([self.rate(codes), self.phase(codes), self.aligners_predictor(codes)], dim=1)

    @abstractmethod
    def rate(self, codes: Float[Tensor, "N D"]) -> Float[Tensor, "N F"]:
        """How fast phases run."""

    @abstractmethod
    def phase(self, codes: Float[Tensor, "N D"]) -> Float[Tensor, "N F"]:
        """What phases are shifted by."""

    @abstractmethod
    def between(
        self, left: Float[Tensor, "N P"], right: Float[Tensor, "N P"], segments: Segments
    ) -> Float[Tensor, "N V"]:
        """The embedding from what the codes before and after each frame decide."""

    def split(self, predicted: Float[Tensor, "N P"]) -> tuple[Tensor, Tensor, Tensor]:
        """Rates [N, F], phases [N, F] and aligners [N, V] out of what `predict` gives."""
        rate, phase, aligners = predicted.split([self.num_frequencies, self.num_frequencies, self.out_dim], dim=1)
        return rate, phase, aligners


class AcyclicEncoding(TimeEncoding):
    """Sines and cosines of time whose frequencies and phases are predicted from the motion code before the frame.

    Subtracting the interpolated encoding of the two neighbouring codes and adding aligners predicted from both makes
    the embedding continuous across codes and never periodic (StyleGAN-V, eq. 4). Its speed jumps there.

    Args:
        v_dim: D.
        num_frequencies: F.
        min_period: Shortest period, frames.
        max_period: Longest period, frames.
    """

    phase_scales: Tensor

    def __init__(
        self, v_dim: int = 512, num_frequencies: int = 256, min_period: float = 16, max_period: float = 1024
    ) -> None:
        super().__init__(v_dim, num_frequencies, min_period, max_period)
        self.register_buffer("phase_scales", max_period * self.freqs / (2 * math.pi))

    def rate(self, codes: Float[Tensor, "N D"]) -> Float[Tensor, "N F"]:
        """A factor on the frequencies, in (0, 2)."""
        return 1 + self.periods_predictor(codes).tanh()

    def phase(self, codes: Float[Tensor, "N D"]) -> Float[Tensor, "N F"]:
        return self.phase_predictor(codes) * self.phase_scales

    def between(
        self, left: Float[Tensor, "N P"], right: Float[Tensor, "N P"], segments: Segments
    ) -> Float[Tensor, "N V"]:
        speed, phase, left_aligners = self.split(left)
        _, _, right_aligners = self.split(right)
        weight = rearrange(segments.weight, "b t -> (b t) 1")

        # Remove what the encoding is at the two codes, put the aligners there instead.
        here, at_left, at_right = (
            self.encode(time, speed, phase) for time in (segments.t, segments.t_left, segments.t_right)
        )
        removed = torch.lerp(at_left, at_right, weight)
        added = torch.lerp(left_aligners, right_aligners, weight)
        return here - removed + added

    def encode(
        self, time: Real[Tensor, "B T"], speed: Float[Tensor, "N F"], phase: Float[Tensor, "N F"]
    ) -> Float[Tensor, "N V"]:
        """Sines, then cosines, of the angle at ``time``."""
        angle = self.angle(time, speed, phase)
        return torch.cat([angle.sin(), angle.cos()], dim=1)

    def angle(
        self, time: Real[Tensor, "B T"], speed: Float[Tensor, "N F"], phase: Float[Tensor, "N F"]
    ) -> Float[Tensor, "N F"]:
        """Phases, radians, not wrapped, in the number type of ``speed``: float64 where times are long."""
        return self.freqs * speed * rearrange(time, "b t -> (b t) 1").to(speed.dtype) + phase
