"""Motion: noise codes at equal distances in time, an encoding of any moment between two of them (StyleGAN-V, 3.1).

Shape legend
    B       videos
    T       frames of a video
    L       motion noise codes, one every ``distance`` frames
    S       motion codes after the convolutions (L less what these eat)
    Z, C    dimension of a noise code and of the label
    D       dimension of a motion code
    V       values of the embedding
    F       frequencies; V = 2 F
"""

from __future__ import annotations

import copy
import math

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int64, Real
from torch import Tensor, nn

from stylegan_v.networks.exact_motion import ExactPath
from stylegan_v.networks.layers import EqualizedConv1d
from stylegan_v.networks.mapping import ConditionedMLP
from stylegan_v.networks.motion_interface import Motion, NoiseWindow, Path
from stylegan_v.networks.time_encoding import (
    AcyclicEncoding,
    TimeEncoding,
    float64_device,
    followed_by_codes,
    locate,
)


def _codes_at(codes: Float[Tensor, "B S D"], index: Int64[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
    return codes.gather(1, repeat(index, "b t -> b t d", d=codes.shape[2]))


class MotionEncoder(Motion):
    """Motion noise to a time embedding: two unpadded convolutions along the codes, then an encoding of time.

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
        encoding: Motion codes to embeddings, of the sizes above; None builds an `AcyclicEncoding`.

    Raises:
        ValueError: The encoding has other sizes.
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
        encoding: TimeEncoding | None = None,
    ) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.distance, self.max_num_frames = z_dim, c_dim, distance, max_num_frames
        self.out_dim = 2 * num_frequencies
        self.reach = 2 * (kernel_size - 1)
        self.conv = nn.Sequential(
            EqualizedConv1d(z_dim + c_dim, z_dim, kernel_size),
            EqualizedConv1d(z_dim, v_dim, kernel_size),
        )
        sizes = {"v_dim": v_dim, "num_frequencies": num_frequencies, "min_period": min_period, "max_period": max_period}
        self.time_encoder = AcyclicEncoding(**sizes) if encoding is None else encoding
        for name, size in sizes.items():
            own = getattr(self.time_encoder, name)
            if own != size:
                raise ValueError(f"{name} of motion, {size}, and of its encoding, {own}, must agree: give both")

    def hand_on_codes(self) -> int:
        """Lets the segment follow each embedding; see `Motion.hand_on_codes`."""
        self.codes_follow = True
        return self.time_encoder.v_dim

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
            segments = locate(t, self.distance, self.time_encoder.freqs.dtype)
            if motion_z is None:
                motion_z = torch.randn(len(t), self.num_codes(t), self.z_dim, device=t.device)
            codes = self.trajectory(motion_z[: len(t), :, : self.z_dim], c)
            first = torch.as_tensor(first_code, device=t.device).reshape(-1, 1)
            index = segments.index - first
            left, right = (rearrange(_codes_at(codes, i), "b t d -> (b t) d") for i in (index, index + 1))
            embedding = self.time_encoder(left, right, segments)
            if self.codes_follow:
                embedding = followed_by_codes(embedding, left, right, segments)
            return rearrange(embedding, "(b t) v -> b t v", b=len(t))

    def path(self, noise: NoiseWindow, c: Float[Tensor, "B C"] | None = None) -> Path:
        """The embeddings of endless videos as a function of time, in float64; arguments as `Motion.path`."""
        device = float64_device(self.time_encoder.freqs.device)
        exact = copy.deepcopy(self).to(device, torch.float64).requires_grad_(False)
        return ExactPath(exact.trajectory, self.reach, exact.time_encoder, self.distance, noise, c, self.codes_follow)


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
