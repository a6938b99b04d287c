"""The movement of what moves: one displacement for every two neighbouring frames.

Grey frames whose shorter side has at most 48 pixels are compared as Lucas and Kanade do (1981), coarse to fine on a
Gaussian pyramid (Bouguet 2001), with the whole frame as one window: the displacement (y, x) is the one for which

    sum over pixels p of m(p) (second(p + displacement) - first(p))^2

is least. The weight m is the widely blurred square of the difference of the two frames, so that a still background has
no say; pixels whose displacement points out of the frame have none either. The search begins on the coarsest level with
all whole displacements up to a quarter of the shorter side, smaller ones preferred where several fit, as on stripes.
Beside a displacement stands the share of the weighted difference of the two frames that it explains: near 1 for a pure
translation, 0 to 0.3 for noise, flicker and cuts.

Limits: what is larger than a quarter of the shorter side per frame is not found, detail that is lost at 48 pixels does
not count, of several things that move differently a mean comes out, turning, zooming and changes of light are no
translations.

Shape legend
    N, F    clips, frames of a clip
    f       frames of one part of a clip
    P       pairs of neighbouring frames
    O       whole displacements that are tried
    H, W    height and width; h, w those of a level
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn import functional as F

from errors import InputError
from stylegan_v.metrics.motion.frames import Clips, each, follow, smaller

_SIDE, _COARSEST, _SMALLEST = 48, 16, 8  # pixels
_STEPS = 4  # of Gauss and Newton on each level
_BLUR = 1.0  # pixels; noise of single pixels must not fade by interpolation, which would look like a fit
_NEAR = 1 / 16  # of the shorter side: how wide the weight is blurred
_REACH = 1 / 4  # of the shorter side
_PREFERENCE = 0.1  # of the whole difference, for every pixel less of the first displacement
_LARGEST_STEP = 2.0  # pixels
_RIDGE = 1e-6  # of the mean squared gradient: along stripes there is no displacement
_TINY = 1e-30
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True)
class Flow:
    """Displacements between the neighbouring frames of a video.

    Attributes:
        shift: (y, x), positive down and to the right, in shorter sides of the frame per frame.
        explained: Share of the difference of the two frames that the displacement explains, at most 1; 0 where nothing
            moves.
    """

    shift: Float64[np.ndarray, "P 2"]
    explained: Float64[np.ndarray, " P"]


def displacement(
    first: Float64[Tensor, "P 1 h w"], second: Float64[Tensor, "P 1 h w"]
) -> tuple[Float64[Tensor, "P 2"], Float64[Tensor, " P"]]:
    """Displacements (y, x) in pixels from the first to the second images, and the shares that they explain.

    Args:
        first: Grey images, each side at least 8.
        second: Of the same size.
    """
    from kornia.geometry.transform import build_pyramid

    num_levels = max(0, int(math.log2(min(first.shape[2:]) / _COARSEST))) + 1
    levels = [build_pyramid(_blur(images, _BLUR), num_levels) for images in (first, second)]
    shift = None
    for a, b in zip(*map(reversed, levels), strict=True):
        size = a.new_tensor(a.shape[2:])
        weight = _blur((b - a).square(), _NEAR * min(a.shape[2:]))
        shift = _best_whole(a, b, weight) if shift is None else shift * size
        for _ in range(_STEPS):
            shift = shift + _step(a, b, weight, shift)
        shift = shift / size
    return shift * size, _explained(a, b, weight, shift * size)


def _blur(images: Float64[Tensor, "P 1 h w"], sigma: float) -> Float64[Tensor, "P 1 h w"]:
    from kornia.filters import gaussian_blur2d

    kernel = 2 * math.ceil(3 * sigma) + 1
    return gaussian_blur2d(images, kernel, (sigma, sigma))


def _best_whole(
    a: Float64[Tensor, "P 1 h w"], b: Float64[Tensor, "P 1 h w"], weight: Float64[Tensor, "P 1 h w"]
) -> Float64[Tensor, "P 2"]:
    """The best whole displacement, a small one preferred."""
    size, reach = a.shape[2:], int(_REACH * min(a.shape[2:]))
    moved = F.unfold(F.pad(b, (reach,) * 4), size)  # [P, h w, O]
    inside = F.unfold(F.pad(torch.ones_like(b[:1]), (reach,) * 4), size)
    counted = weight.flatten(1).unsqueeze(2) * inside
    misfit = (counted * (moved - a.flatten(1).unsqueeze(2)).square()).sum(dim=1)
    misfit = misfit / counted.sum(dim=1).clamp(min=_TINY)
    steps = torch.arange(-reach, reach + 1, dtype=a.dtype, device=a.device)
    candidates = torch.cartesian_prod(steps, steps)  # [O, 2]
    unmoved = misfit[:, len(candidates) // 2].unsqueeze(1)
    cost = misfit + (_PREFERENCE * unmoved + _TINY) * candidates.norm(dim=1)
    return candidates[cost.argmin(dim=1)]


def _step(
    a: Float64[Tensor, "P 1 h w"],
    b: Float64[Tensor, "P 1 h w"],
    weight: Float64[Tensor, "P 1 h w"],
    shift: Float64[Tensor, "P 2"],
) -> Float64[Tensor, "P 2"]:
    """One step of Gauss and Newton; the gradient is the mean of both images' (as if each moved half of the way)."""
    from kornia.filters import spatial_gradient

    moved, inside = _moved(b, shift)
    gradient = spatial_gradient((moved + a) / 2, mode="diff")[:, 0].flip(1)  # [P, 2, h, w], y first
    weighted = weight * inside * gradient
    normal = torch.einsum("pihw,pjhw->pij", weighted, gradient)
    misfit = torch.einsum("pihw,phw->pi", weighted, (moved - a)[:, 0])
    ridge = _RIDGE * normal.diagonal(dim1=1, dim2=2).sum(dim=1) + _TINY
    normal = normal + ridge[:, None, None] * torch.eye(2, dtype=a.dtype, device=a.device)
    return -torch.linalg.solve(normal, misfit).clamp(-_LARGEST_STEP, _LARGEST_STEP)


def _moved(
    images: Float64[Tensor, "P 1 h w"], shift: Float64[Tensor, "P 2"]
) -> tuple[Float64[Tensor, "P 1 h w"], Float64[Tensor, "P 1 h w"]]:
    """The images read at p + shift, and 1 where that is inside of them, 0 elsewhere."""
    size = images.new_tensor(images.shape[2:])
    y, x = (torch.arange(side, dtype=images.dtype, device=images.device) for side in images.shape[2:])
    pixels = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1) + shift[:, None, None]  # [P, h, w, 2]
    inside = ((pixels >= 0) & (pixels <= size - 1)).all(dim=-1).to(images.dtype)
    grid = ((2 * pixels + 1) / size - 1).flip(-1)  # (x, y) in [-1, 1]
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return moved, inside.unsqueeze(1)


def _explained(
    a: Float64[Tensor, "P 1 h w"],
    b: Float64[Tensor, "P 1 h w"],
    weight: Float64[Tensor, "P 1 h w"],
    shift: Float64[Tensor, "P 2"],
) -> Float64[Tensor, " P"]:
    """Share of the weighted difference that a displacement takes away; what points out of the frame stays."""
    moved, inside = _moved(b, shift)
    before, after = (b - a).square(), (moved - a).square()
    gain = (weight * inside * (before - after)).sum(dim=(1, 2, 3))
    return gain / (weight * before).sum(dim=(1, 2, 3)).clamp(min=_TINY)


class FrameFlow:
    """`Flow` of one video; a follower."""

    def __init__(self) -> None:
        self._last: Tensor | None = None
        self._shifts: list[Tensor] = []
        self._explained: list[Tensor] = []

    def add(self, frames: Float[Tensor, "f 3 H W"]) -> None:
        if min(frames.shape[2:]) < _SMALLEST:
            raise InputError(f"clips: flow needs frames of at least {_SMALLEST} pixels a side: give larger ones")
        weights = torch.tensor(_GREY, dtype=torch.float64, device=frames.device)
        grey = torch.einsum("fchw,c->fhw", smaller(frames, _SIDE).double(), weights)
        grey = rearrange(grey, "f h w -> f 1 h w")
        seen = grey if self._last is None else torch.cat([self._last, grey])
        if len(seen) > 1:
            pixels, explained = displacement(seen[:-1], seen[1:])
            self._shifts.append(pixels.cpu() / min(grey.shape[2:]))
            self._explained.append(explained.cpu())
        self._last = seen[-1:]

    def result(self) -> Flow:
        if not self._shifts:
            return Flow(np.zeros((0, 2)), np.zeros(0))
        return Flow(torch.cat(self._shifts).numpy(), torch.cat(self._explained).numpy())


def flow(clips: Clips, *, chunk: int = 32) -> list[Flow]:
    """Displacements between the neighbouring frames of each clip; see the head of the file.

    Args:
        clips: Bytes, or floats in [-1, 1].
        chunk: Frames looked at together; does not change the result.
    """
    return [follow(FrameFlow(), clip, chunk) for clip in each(clips)]
