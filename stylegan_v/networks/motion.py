"""Motion: noise codes at equal distances in time, an acyclic encoding of any moment between (StyleGAN-V, 3.1).

Shape legend
    B       videos
    T       frames of a video
    L       motion noise codes, one every ``distance`` frames
    S       motion codes after the convolutions (L less what these eat)
    Z, C    dimension of a noise code and of the label
    D       dimension of a motion code
    V       values of the embedding
    F       frequencies; the acyclic embedding has V = 2 F values
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int64, Real
from torch import Tensor, nn

from stylegan_v.networks.layers import EqualizedConv1d, EqualizedLinear
from stylegan_v.networks.mapping import ConditionedMLP
from stylegan_v.networks.motion_interface import Motion


def time_frequencies(num: int, min_period: float, max_period: float) -> Float[Tensor, "1 F"]:
    """Angular frequencies 2 pi / P, ascending, with log-spaced periods P from ``max_period`` down to ``min_period``."""
    periods = torch.logspace(math.log2(max_period), math.log2(min_period), num, base=2.0, dtype=torch.float64)
    return (2 * math.pi / periods).float().unsqueeze(0)


@dataclass(frozen=True)
class Segments:
    """Where frames lie between motion codes; all [B, T], in the time's own number type unless said otherwise.

    Attributes:
        index: Number of the code at or before the frame, int64.
        t: Time of the frame.
        t_left: Time of that code.
        t_right: Time of the next code.
        weight: Share of the next code, in [0, 1), float32.
    """

    index: Int64[Tensor, "B T"]
    t: Tensor
    t_left: Tensor
    t_right: Tensor
    weight: Float[Tensor, "B T"]


def locate(t: Tensor, distance: int) -> Segments:
    """The segments of times ``t`` [B, T] between codes ``distance`` frames apart."""
    since_left = t % distance
    index = torch.div(t, distance, rounding_mode="floor").long()
    return Segments(index, t, t - since_left, t - since_left + distance, since_left.float() / distance)


def _codes_at(codes: Float[Tensor, "B S D"], index: Int64[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
    return codes.gather(1, repeat(index, "b t -> b t d", d=codes.shape[2]))


class AcyclicEncoding(nn.Module):
    """Sines and cosines of time whose frequencies and phases are predicted from the motion code before the frame.

    Subtracting the interpolated encoding of the two neighbouring codes and adding aligners predicted from both makes
    the embedding continuous across codes and never periodic (StyleGAN-V, eq. 4).

    Args:
        code_dim: D.
        num_frequencies: F.
        min_period: Shortest period, frames.
        max_period: Longest period, frames.
    """

    freqs: Tensor
    phase_scales: Tensor

    def __init__(self, code_dim: int, num_frequencies: int, min_period: float, max_period: float) -> None:
        super().__init__()
        freqs = time_frequencies(num_frequencies, min_period, max_period)
        self.register_buffer("freqs", freqs)
        self.register_buffer("phase_scales", max_period * freqs / (2 * math.pi))
        self.periods_predictor = EqualizedLinear(code_dim, num_frequencies, bias=False)
        self.phase_predictor = EqualizedLinear(code_dim, num_frequencies, bias=False)
        self.aligners_predictor = EqualizedLinear(code_dim, 2 * num_frequencies, bias=False)

    def forward(
        self, left: Float[Tensor, "N D"], right: Float[Tensor, "N D"], segments: Segments
    ) -> Float[Tensor, "N V"]:
        """The embedding v of N = B * T frames from the codes before and after each."""
        speed = 1 + self.periods_predictor(left).tanh()  # a factor on the frequencies, in (0, 2)
        phase = self.phase_predictor(left) * self.phase_scales
        weight = rearrange(segments.weight, "b t -> (b t) 1")

        # Remove what the encoding is at the two codes, put the aligners there instead.
        here, at_left, at_right = (
            self.encode(time, speed, phase) for time in (segments.t, segments.t_left, segments.t_right)
        )
        removed = torch.lerp(at_left, at_right, weight)
        added = torch.lerp(self.aligners_predictor(left), self.aligners_predictor(right), weight)
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
        return self.freqs * speed * rearrange(time, "b t -> (b t) 1").float() + phase


class MotionEncoder(Motion):
    """Motion noise to a time embedding: two unpadded convolutions along the codes, then the acyclic encoding.

    Args:
        z_dim: Z.
        v_dim: D, the width of the motion codes.
        c_dim: C; labels are joined to every noise code.
        num_frequencies: F.
        distance: Frames between two codes (``motion_z_distance``).
        kernel_size: Taps of each convolution.
        min_period: Shortest period of the encoding, frames.
        max_period: Longest period of the encoding, frames.
        max_num_frames: Horizon of training; the noise covers at least so many frames.
    """

    def __init__(
        self,
        z_dim: int = 512,
        v_dim: int = 512,
        c_dim: int = 0,
        num_frequencies: int = 256,
        distance: int = 16,
        kernel_size: int = 11,
        min_period: float = 16,
        max_period: float = 1024,
        max_num_frames: int = 1024,
    ) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.distance, self.max_num_frames = z_dim, c_dim, distance, max_num_frames
        self.out_dim = 2 * num_frequencies
        self.reach = 2 * (kernel_size - 1)
        self.conv = nn.Sequential(
            EqualizedConv1d(z_dim + c_dim, z_dim, kernel_size),
            EqualizedConv1d(z_dim, v_dim, kernel_size),
        )
        self.time_encoder = AcyclicEncoding(v_dim, num_frequencies, min_period, max_period)

    def num_codes(self, t: Tensor) -> int:
        """Noise codes L that cover times ``t``, and at least the horizon of training, as the original draws them."""
        last = max(self.max_num_frames - 1, float(t.max()))
        return math.ceil(last / self.distance) + 2 + self.reach

    def window(self, t: Real[Tensor, "B T"]) -> tuple[Int64[Tensor, " B"], int]:
        """The first code each video needs for times ``t`` and how many noise codes cover every video from there."""
        index = locate(t, self.distance).index
        first = index.amin(dim=1)
        return first, int((index.amax(dim=1) - first).max()) + 2 + self.reach

    def trajectory(
        self, motion_z: Float[Tensor, "_ L Z"], c: Float[Tensor, "B C"] | None = None
    ) -> Float[Tensor, "B S D"]:
        """Motion codes; code i depends on the noise codes i to i + reach."""
        x = motion_z
        if self.c_dim:
            x = torch.cat([x, repeat(c, "b c -> b l c", l=x.shape[1])], dim=2)
        return rearrange(self.conv(rearrange(x, "b l z -> b z l")), "b d s -> b s d")

    def forward(
        self,
        t: Real[Tensor, "B T"],
        c: Float[Tensor, "B C"] | None = None,
        motion_z: Float[Tensor, "_ L Z"] | None = None,
        *,
        first_code: int | Int64[Tensor, " B"] = 0,
    ) -> Float[Tensor, "B T V"]:
        """Time embeddings of the frames; arguments as `Motion.forward`."""
        with torch.autocast(t.device.type, enabled=False):
            segments = locate(t, self.distance)
            if motion_z is None:
                motion_z = torch.randn(len(t), self.num_codes(t), self.z_dim, device=t.device)
            codes = self.trajectory(motion_z[: len(t), :, : self.z_dim], c)
            first = torch.as_tensor(first_code, device=t.device).reshape(-1, 1)
            index = segments.index - first
            left, right = (rearrange(_codes_at(codes, i), "b t d -> (b t) d") for i in (index, index + 1))
            embedding = self.time_encoder(left, right, segments)
            return rearrange(embedding, "(b t) v -> b t v", b=len(t))


class LSTMMotion(Motion):
    """Motion of the MoCoGAN + StyleGAN2 baseline: an LSTM over the noise codes and a small mapping network.

    Args:
        z_dim: Z.
        v_dim: D, also the width of the embedding.
        c_dim: C.
        distance: Frames between two codes.
        max_num_frames: Horizon of training.
    """

    whole_frames = True  # the baseline's codes stand there

    def __init__(
        self, z_dim: int = 512, v_dim: int = 512, c_dim: int = 0, distance: int = 1, max_num_frames: int = 1024
    ) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.distance, self.max_num_frames = z_dim, c_dim, distance, max_num_frames
        self.out_dim = v_dim
        self.rnn = nn.LSTM(z_dim + c_dim, v_dim, batch_first=True)
        self.mapping = ConditionedMLP(v_dim, v_dim, c_dim)

    def num_codes(self, t: Tensor) -> int:
        """Noise codes L that cover the training horizon and times ``t``."""
        return math.ceil(max(self.max_num_frames - 1, float(t.max())) / self.distance) + 2

    def window(self, t: Real[Tensor, "B T"]) -> tuple[int, int]:
        """All codes from the first one on: a recurrence depends on its whole past."""
        return 0, self.num_codes(t)

    def forward(
        self,
        t: Real[Tensor, "B T"],
        c: Float[Tensor, "B C"] | None = None,
        motion_z: Float[Tensor, "_ L Z"] | None = None,
        *,
        first_code: int | Int64[Tensor, " B"] = 0,
    ) -> Float[Tensor, "B T D"]:
        """Time embeddings of the frames; arguments as `Motion.forward`.

        Raises:
            ValueError: If the noise does not start at code 0: a recurrence has no beginning elsewhere.
        """
        if not isinstance(first_code, int) or first_code:
            raise ValueError("LSTM motion runs from the first code on: motion noise must start at code 0")
        with torch.autocast(t.device.type, enabled=False):
            segments = locate(t, self.distance)
            if motion_z is None:
                motion_z = torch.randn(len(t), self.num_codes(t), self.z_dim, device=t.device)
            x = motion_z[: len(t), :, : self.z_dim]
            if self.c_dim:
                x = torch.cat([x, repeat(c, "b c -> b l c", l=x.shape[1])], dim=2)
            codes, _ = self.rnn(x)
            left, right = _codes_at(codes, segments.index), _codes_at(codes, segments.index + 1)
            u = rearrange(torch.lerp(left, right, segments.weight.unsqueeze(2)), "b t d -> (b t) d")
            c = repeat(c, "b c -> (b t) c", t=t.shape[1]) if self.c_dim else None
            return rearrange(self.mapping(u, c), "(b t) v -> b t v", b=len(t))
