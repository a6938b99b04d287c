"""Encodings of points as waves, without which a perceptron learns smooth functions only.

Shape legend
    N       points
    D       axes of a point
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError


class FourierFeatures(nn.Module):
    """``[sin(2 pi B v), cos(2 pi B v)]`` with fixed random B (Tancik et al., NeurIPS 2020).

    Args:
        in_dim: Axes of a point.
        num_frequencies: Rows of B, half the width of the result.
        sigma: Standard deviation of B, for all axes or one per axis: how fine the detail is that can be learned.
    """

    def __init__(self, in_dim: int, num_frequencies: int = 256, sigma: float | tuple[float, ...] = 10.0) -> None:
        super().__init__()
        spread = torch.tensor(sigma, dtype=torch.float32).expand(in_dim)
        self.register_buffer("frequencies", torch.randn(num_frequencies, in_dim) * spread)
        self.out_dim = 2 * num_frequencies

    def forward(self, v: Float[Tensor, "*N D"]) -> Float[Tensor, "*N out_dim"]:
        # A product of matrices would be rounded under autocast, and with it the phase.
        with torch.autocast(v.device.type, enabled=False):
            angles = (2 * math.pi * v.to(self.frequencies.dtype)) @ self.frequencies.t()
        return torch.cat((angles.sin(), angles.cos()), dim=-1)


class PositionalEncoding(nn.Module):
    """Sines and cosines of every axis at frequencies in geometric steps (NeRF, Mildenhall et al., ECCV 2020).

    Args:
        in_dim: Axes of a point.
        num_octaves: Frequencies.
        base: Ratio of neighbouring frequencies.
        scale: Angle per unit of a coordinate at the lowest: pi in the paper, 1 in some programs.
        identity: Whether the point itself comes first.
        layout: Order of the waves, slowest first, of the words octave, axis and wave (sine, cosine).
    """

    def __init__(
        self,
        in_dim: int,
        num_octaves: int,
        base: float = 2.0,
        scale: float = math.pi,
        identity: bool = True,
        layout: str = "octave wave axis",
    ) -> None:
        super().__init__()
        if sorted(layout.split()) != ["axis", "octave", "wave"]:
            raise InputError(f"layout {layout!r}: give the words octave, axis and wave in the order wanted")
        self.num_octaves, self.base, self.scale = num_octaves, base, scale
        self.identity = identity
        # einops keeps the word "axis" to itself.
        self.layout = layout.replace("axis", "place")
        self.out_dim = in_dim * (2 * num_octaves + identity)

    def forward(self, v: Float[Tensor, "*N D"]) -> Float[Tensor, "*N out_dim"]:
        # Made anew, so that they are part of no file.
        frequencies = self.scale * self.base ** torch.arange(self.num_octaves, device=v.device)
        angles = v[..., None, :] * frequencies[:, None]
        waves = torch.stack((angles.sin(), angles.cos()), dim=-1)
        waves = rearrange(waves, f"... octave place wave -> ... ({self.layout})")
        return torch.cat((v, waves), dim=-1) if self.identity else waves
