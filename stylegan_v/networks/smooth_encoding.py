"""An encoding of time whose value and speed are both continuous, and whose phases never turn back.

Shape legend
    B, T    videos and frames of a video; N = B * T frames folded together
    D       dimension of a motion code
    P       values that are predicted from one code
    V       values of the embedding
    F       frequencies; V = 2 F

Derivation
    The embedding is v(t) = E(t) + A(t) with E = (sin theta, cos theta), one phase theta per frequency omega. Codes u_i
    lie at times t_i = i d; tau = (t - t_i) / d runs from 0 to 1 between two of them.

    At a code, everything is decided by that code alone, so the segments on both sides agree about it:

        phase    theta(t_i)  = omega t_i + omega d p_i   with p_i = tanh(W_phi u_i) / 6,
        speed    theta'(t_i) = omega (1 + r_i)           with r_i = R tanh(W_p u_i), R < 1,
        aligner  A(t_i)      = W_a u_i,                  A'(t_i) = A''(t_i) = 0.

    Hence v(t_i) - E(t_i) = W_a u_i. Between codes the speed is theta' = omega (1 + g(tau)). The straight line from r_i
    to r_{i+1} has the right ends; b times 6 tau (1 - tau), which vanishes at both ends and has integral 1, is added so
    that the phase arrives where the next code wants it:

        g(tau) = (1 - tau) r_i + tau r_{i+1} + 6 tau (1 - tau) b,       b = m - (r_i + r_{i+1}) / 2,

    where m = p_{i+1} - p_i is the integral of g over the segment, and |m| <= 1/3. With

        G(tau) = r_i tau + (r_{i+1} - r_i) tau^2 / 2 + b (3 tau^2 - 2 tau^3),

    the integral of g from 0 to tau, theta(t) = omega t + omega d (p_i + G(tau)). What meets at a code: g(0) = r_i and
    g(1) = r_{i+1}, G(0) = 0 and p_i + G(1) = p_i + m = p_{i+1}. So theta and A, and v with them, are continuously
    differentiable.

    Phases never stop and never run at twice omega: 0 < theta' < 2 omega, because |g| <= (1 + R) / 2 < 1. For, with the
    coefficients collected,

        g = (1 - tau) (1 - 3 tau) r_i + tau (3 tau - 2) r_{i+1} + 6 tau (1 - tau) m,

    and with |r| <= R, |m| <= 1/3: where tau <= 1/3, |g| <= R (1 - 2 tau) + 2 tau (1 - tau), at most (1 + R^2) / 2;
    where tau is between 1/3 and 2/3, |g| <= R (6 tau (1 - tau) - 1) + 2 tau (1 - tau), at most (1 + R) / 2; the rest
    mirrors the first part.

    Phases at codes stay within omega d / 6 of omega t, which is why any moment can be computed from its two codes,
    without its past. That the motion never repeats comes from the codes: through A, the speeds and these shifts.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from stylegan_v.networks.time_encoding import Segments, TimeEncoding, float64_device

_RATE_LIMIT = 0.99  # R; a tanh rounds to 1, which would let a phase stand still
_SHIFT_LIMIT = 1 / 6  # of p, so that |m| <= 1/3


def smoothstep(x: Tensor) -> Tensor:
    """From 0 to 1 with no slope and no curvature at either end: 10 x^3 - 15 x^4 + 6 x^5.

    The cubic smoothstep has no slope there either, but a curvature of 6, against a root mean square of 3.5 over the
    segment: most acceleration of the aligners would stand at the codes.
    """
    return x**3 * (10 + x * (6 * x - 15))


class SmoothEncoding(TimeEncoding):
    """Sines and cosines of phases that advance smoothly through the motion codes, plus smoothly interpolated aligners.

    Takes and gives what `AcyclicEncoding` does. Phases and their speeds meet at every code, between 0 and twice the
    frequency, so motion neither jumps, nor breaks its speed, nor is forced back; see the derivation above.

    Args:
        v_dim: D.
        num_frequencies: F.
        min_period: Shortest period, frames.
        max_period: Longest period, frames.
    """

    def rate(self, codes: Float[Tensor, "N D"]) -> Float[Tensor, "N F"]:
        """r: the phase's speed at the code, as its relative deviation from the frequency."""
        return _RATE_LIMIT * self.periods_predictor(codes).tanh()

    def phase(self, codes: Float[Tensor, "N D"]) -> Float[Tensor, "N F"]:
        """p: the phase's lead at the code, as a share of its mean advance from code to code."""
        return _SHIFT_LIMIT * self.phase_predictor(codes).tanh()

    def between(
        self, left: Float[Tensor, "N P"], right: Float[Tensor, "N P"], segments: Segments
    ) -> Float[Tensor, "N V"]:
        angle = self.angle(left, right, segments)
        *_, left_aligners = self.split(left)
        *_, right_aligners = self.split(right)
        share = smoothstep(rearrange(segments.weight, "b t -> (b t) 1"))
        return torch.cat([angle.sin(), angle.cos()], dim=1) + torch.lerp(left_aligners, right_aligners, share)

    def angle(
        self, left: Float[Tensor, "N P"], right: Float[Tensor, "N P"], segments: Segments
    ) -> Float[Tensor, "N F"]:
        """Phases theta, radians, up to whole turns: omega t is wrapped in float64, so long times lose nothing."""
        time = rearrange(segments.t, "b t -> (b t) 1").to(float64_device(segments.t.device), torch.float64)
        turned = (self.freqs.to(time) * time).remainder(2 * math.pi).to(left)
        return turned + self.freqs * segments.distance * self.lead(left, right, segments)

    def lead(self, left: Float[Tensor, "N P"], right: Float[Tensor, "N P"], segments: Segments) -> Float[Tensor, "N F"]:
        """p_i + G(tau): how far phases are ahead of omega t, as a share of their mean advance from code to code."""
        (rate, phase, _), (next_rate, next_phase, _) = self.split(left), self.split(right)
        tau = rearrange(segments.weight, "b t -> (b t) 1")
        bump = next_phase - phase - (rate + next_rate) / 2
        return phase + tau * (rate + tau * ((next_rate - rate) / 2 + bump * (3 - 2 * tau)))
