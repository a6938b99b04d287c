"""What every kind of motion offers to generator and sampling, and the kind that has none.

Shape legend
    B       videos
    T       frames of a video
    L       motion noise codes
    Z, C    dimension of a noise code and of the label
    V       values of the embedding of a frame
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64, Real
from torch import Tensor, nn

from errors import InputError

NoiseWindow = Callable[[int, int], Tensor]  # first code and how many to motion noise [B, L, Z], of endless videos
Path = Callable[[Tensor], Tensor]  # times [T], float64, to embeddings [B, T, V]


class Motion(nn.Module, ABC):
    """Motion noise, times and labels to an embedding of each frame; the base of all kinds.

    Attributes:
        z_dim: Z.
        c_dim: C; a motion that takes no notice of labels has 0.
        out_dim: V; 0 where frames do not depend on time.
        whole_frames: Whether generated clips of training stand at whole frame numbers, as real ones do.
        codes_follow: Whether each embedding is followed by its segment, see `hand_on_codes`; V is without it.
    """

    z_dim: int
    c_dim: int
    out_dim: int
    whole_frames = False
    codes_follow = False

    def hand_on_codes(self) -> int:
        """From now on lets each embedding be followed by what temporal modulation needs.

        These are the frame's share of the way from one motion code to the next, and these two codes.

        Returns:
            The dimension of a code.

        Raises:
            InputError: There are no such codes.
        """
        raise InputError(
            f"temporal_modulation: {type(self).__name__} has no motion codes between which time runs: "
            "give a MotionEncoder, or leave the modulation out"
        )

    @abstractmethod
    def window(self, t: Real[Tensor, "B T"]) -> tuple[int | Int64[Tensor, " B"], int]:
        """The first code that times ``t`` need, of all videos or of each, and how many noise codes from there on."""

    @abstractmethod
    def forward(
        self,
        t: Real[Tensor, "B T"],
        c: Float[Tensor, "B C"] | None = None,
        motion_z: Float[Tensor, "_ L Z"] | None = None,
        *,
        first_code: int | Int64[Tensor, " B"] = 0,
    ) -> Float[Tensor, "B T V"]:
        """Time embeddings of the frames.

        Args:
            t: Frame times, frames.
            c: Labels.
            motion_z: Motion noise, drawn when None; may be larger than needed in every axis.
            first_code: Number of the code that ``motion_z[:, 0]`` is, for all videos or for each.
        """

    def path(self, noise: NoiseWindow, c: Float[Tensor, "B C"] | None = None) -> Path:
        """The embeddings of endless videos as a function of time, for sampling.

        Args:
            noise: Their motion noise.
            c: Labels.
        """

        def embed(t: Tensor) -> Tensor:
            first, num = self.window(t.unsqueeze(0))  # the same for all videos, whose times are the same
            motion_z = noise(int(first), num)
            times = t.to(motion_z.device).expand(len(motion_z), -1)
            return self(times, c, motion_z, first_code=int(first))

        return embed


class Motionless(Motion):
    """No motion: an embedding of no values. With it the generator draws images, the same one at any time."""

    z_dim = c_dim = out_dim = 0

    def window(self, t: Real[Tensor, "B T"]) -> tuple[int, int]:
        """A single code, of no values."""
        return 0, 1

    def forward(
        self,
        t: Real[Tensor, "B T"],
        c: Float[Tensor, "B C"] | None = None,
        motion_z: Float[Tensor, "_ L Z"] | None = None,
        *,
        first_code: int | Int64[Tensor, " B"] = 0,
    ) -> Float[Tensor, "B T 0"]:
        """Nothing, for each frame; arguments as `Motion.forward`."""
        return torch.zeros(*t.shape, 0, device=t.device)
