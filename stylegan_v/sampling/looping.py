"""Videos that loop without a seam: their motion codes stand on a ring, and time runs around it.

Shape legend
    B, T    videos and frames of a video; N = B * T frames folded together
    K, Z    motion noise codes and the dimension of one
    C       dimension of the label
    D       dimension of a motion code
    P       values that are predicted from one code
    V       values of the embedding
    F       frequencies; V = 2 F

Derivation
    A loop of Lambda frames has n = max(1, round(Lambda / d)) motion codes, d' = Lambda / n frames apart, where d is the
    distance of training. Noise code i is that of i mod n, so the convolutions see a ring, and motion code n is motion
    code 0. Time is taken modulo Lambda before anything else. What remains is the seam: the embedding just before Lambda
    must meet the one at 0.

    Acyclic encoding. At a code, what the encoding is there is removed and the aligner put in its place, so
    v(t_i) = W_a u_i whatever the phases are (StyleGAN-V, eq. 4), from both sides. Before the seam the right-hand code
    is u_n = u_0: the value W_a u_0 is met as at every other code, and the speed breaks as it does at every other.

    Smooth encoding. There v(t_i) = E(t_i) + W_a u_i, and E holds the phases themselves,

        theta(t) = omega t + omega d' (p_i + G(tau)).

    The second term and its slope are decided by the two codes around t, hence meet at the seam. The first grows by
    omega Lambda in a turn, which is no whole number of turns of the phase. So omega is replaced in it by the nearest
    frequency for which it is one,

        omega' = 2 pi m / Lambda,   m = round(omega Lambda / 2 pi),

    and in the second term by a gain alpha:  theta(t) = omega' t + alpha d' (p_i + G(tau)). Values and speeds then meet
    at the seam as at any other code. As |G'| d' = |g| < 1 (see `networks.smooth_encoding`), theta' is within alpha of
    omega'. With

        alpha = omega - |omega' - omega|    where m > 0,

    0 < theta' < 2 omega stays true as it was trained: for omega' <= omega, alpha = omega' and theta' < 2 omega'; else
    alpha = 2 omega - omega', and theta' > 2 (omega' - omega) > 0. Phases that need longer than two loops for a turn
    have m = 0. At such speeds no phase can advance all the time and be back after Lambda: these swing to and fro
    instead, theta' = omega g, alpha = omega, never faster than omega.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Float, Real
from torch import Tensor

from errors import InputError
from stylegan_v.networks import AcyclicEncoding, Generator, Motion, MotionEncoder, Motionless, SmoothEncoding
from stylegan_v.networks.motion_interface import NoiseWindow, Path
from stylegan_v.networks.time_encoding import Segments, TimeEncoding, float64_device


class ClosedSmoothEncoding(SmoothEncoding):
    """A smooth encoding whose phases are back after a given time; see the derivation above.

    Args:
        encoding: What it was before; weights are shared.
        length: Frames of a turn.
    """

    turns: Tensor

    def __init__(self, encoding: SmoothEncoding, length: float) -> None:
        super().__init__(encoding.v_dim, encoding.num_frequencies, encoding.min_period, encoding.max_period)
        self.load_state_dict(encoding.state_dict(), assign=True)
        self.length = length
        turns = (encoding.freqs.double().cpu() * length / (2 * math.pi)).round().long()
        self.register_buffer("turns", turns.to(encoding.freqs.device), persistent=False)

    def angle(
        self, left: Float[Tensor, "N P"], right: Float[Tensor, "N P"], segments: Segments
    ) -> Float[Tensor, "N F"]:
        """Phases theta, radians, up to whole turns."""
        time = rearrange(segments.t, "b t -> (b t) 1").to(float64_device(segments.t.device), torch.float64)
        turned = 2 * math.pi * (self.turns.to(time.device) * (time / self.length)).remainder(1)
        return turned.to(left) + self.gain() * segments.distance * self.lead(left, right, segments)

    def gain(self) -> Float[Tensor, "1 F"]:
        """alpha: how fast phases may deviate from their mean speed, radians per frame."""
        closed = 2 * math.pi * self.turns / self.length
        return torch.where(self.turns > 0, self.freqs - (closed - self.freqs).abs(), self.freqs)


class LoopedMotion(Motion):
    """Motion that is the same again after a given time; value, and with the smooth encoding speed, meet at the seam.

    Args:
        encoder: The motion of endless videos; weights are shared.
        length: Frames of a turn.

    Raises:
        InputError: Its encoding of time is of a kind that is not known to close.
    """

    def __init__(self, encoder: MotionEncoder, length: float) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.out_dim = encoder.z_dim, encoder.c_dim, encoder.out_dim
        self.length = length
        self.num_codes = max(1, round(length / encoder.distance))
        self.encoder = shared_copy(encoder)
        self.encoder.distance = length / self.num_codes
        self.encoder.time_encoder = _closed(self.encoder.time_encoder, length)

    def window(self, t: Real[Tensor, "B T"]) -> tuple[int, int]:
        """All codes of the ring."""
        return 0, self.num_codes

    def forward(
        self,
        t: Real[Tensor, "B T"],
        c: Float[Tensor, "B C"] | None = None,
        motion_z: Float[Tensor, "_ K Z"] | None = None,
        *,
        first_code: int = 0,
    ) -> Float[Tensor, "B T V"]:
        """Time embeddings of the frames; arguments as `Motion.forward`.

        Raises:
            ValueError: The noise does not start at code 0.
        """
        if first_code:
            raise ValueError("codes on a ring are numbered from 0: motion noise must start at code 0")
        if motion_z is None:
            motion_z = torch.randn(len(t), self.num_codes, self.z_dim, device=t.device)
        around = torch.arange(self.num_codes + 2 + self.encoder.reach, device=motion_z.device) % self.num_codes
        return self.encoder(t.remainder(self.length), c, motion_z[:, around])

    def path(self, noise: NoiseWindow, c: Float[Tensor, "B C"] | None = None) -> Path:
        """The embeddings of looping videos as a function of time; arguments as `Motion.path`."""
        embed = self.encoder.path(self.around(noise), c)
        return lambda t: embed(t.remainder(self.length))

    def around(self, noise: NoiseWindow) -> NoiseWindow:
        """Noise codes on the ring, out of those of endless videos."""

        def window(first: int, num: int) -> Tensor:
            pieces = []
            while num > 0:
                start = first % self.num_codes
                pieces.append(noise(start, min(num, self.num_codes - start)))
                first, num = first + pieces[-1].shape[1], num - pieces[-1].shape[1]
            return torch.cat(pieces, dim=1)

        return window


def looped(generator: Generator, length: float) -> Generator:
    """A generator whose videos are the same again after ``length`` frames; it shares its weights with the given one.

    Raises:
        InputError: Its motion is of a kind that cannot loop.
    """
    generator = shared_copy(generator)
    motion = generator.synthesis.motion
    if not isinstance(motion, Motionless):
        if not isinstance(motion, MotionEncoder):
            raise InputError(f"ckpt: {type(motion).__name__} depends on its whole past: such videos cannot loop")
        generator.synthesis.motion = LoopedMotion(motion, length)
    return generator.eval()


def shared_copy(module: torch.nn.Module) -> torch.nn.Module:
    """A copy of the modules, not of the tensors."""
    tensors = (*module.parameters(), *module.buffers())
    return copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})


def _closed(encoding: TimeEncoding, length: float) -> TimeEncoding:
    close = _CLOSED.get(type(encoding))
    if close is None:
        raise InputError(f"ckpt: it is not known how the phases of {type(encoding).__name__} are closed to a loop")
    return close(encoding, length)


_CLOSED: dict[type[TimeEncoding], Callable[..., TimeEncoding]] = {
    AcyclicEncoding: lambda encoding, length: encoding,
    SmoothEncoding: ClosedSmoothEncoding,
}
