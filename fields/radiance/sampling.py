"""Where along a ray it is looked: the edges of intervals, by distance first, then by what was found.

Shape legend
    R       rays
    S       intervals
    E       edges, S + 1
    M       edges of the new intervals
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_EMPTY = 1e-5  # a ray with less weight than this is read as if it had this much everywhere


def _uniform(shape: tuple[int, ...], jitter: torch.Generator, like: Tensor) -> Tensor:
    return torch.rand(shape, generator=jitter, device=jitter.device, dtype=like.dtype).to(like.device)


def stratified(
    near: Float[Tensor, "R 1"],
    far: Float[Tensor, "R 1"],
    num_intervals: int,
    jitter: torch.Generator | None = None,
    by_disparity: bool = False,
) -> Float[Tensor, "R E"]:
    """Edges of intervals that cover a ray.

    Args:
        near: Where the scene begins.
        far: Where it ends.
        num_intervals: Of each ray.
        jitter: Draws every edge between the middles of the intervals beside it; None makes them equal.
        by_disparity: Equal in 1 / distance instead of distance.
    """
    share = torch.linspace(0, 1, num_intervals + 1, dtype=near.dtype, device=near.device)
    edges = 1 / ((1 - share) / near + share / far) if by_disparity else near * (1 - share) + far * share
    if jitter is None:
        return edges
    middles = (edges[:, 1:] + edges[:, :-1]) / 2
    lower, upper = torch.cat((edges[:, :1], middles), dim=1), torch.cat((middles, edges[:, -1:]), dim=1)
    return lower + (upper - lower) * _uniform(edges.shape, jitter, edges)


def _places(count: int, jitter: torch.Generator | None, like: Tensor) -> Tensor:
    """Increasing places in [0, 1), one in each of ``count`` equal parts when drawn."""
    last = 1 - torch.finfo(like.dtype).eps
    if jitter is None:
        return torch.linspace(0, last, count, dtype=like.dtype, device=like.device).expand(len(like), count)
    parts = torch.arange(count, dtype=like.dtype, device=like.device) / count
    return (parts + _uniform((len(like), count), jitter, like) / count).clamp_max(last)


def invert(
    edges: Float[Tensor, "R E"], weights: Float[Tensor, "R S"], places: Float[Tensor, "R M"]
) -> Float[Tensor, "R M"]:
    """Distances before which given shares of the weight lie.

    Args:
        edges: Of the intervals, increasing.
        weights: Of the intervals, at least 0, spread evenly within each.
        places: Shares in [0, 1).
    """
    total = weights.sum(dim=1, keepdim=True)
    missing = (_EMPTY - total).clamp_min(0)
    shares = (weights + missing / weights.shape[1]) / (total + missing)
    inner = shares[:, :-1].cumsum(dim=1).clamp_max(1)
    passed = torch.cat((torch.zeros_like(total), inner, torch.ones_like(total)), dim=1)
    upper = torch.searchsorted(passed, places.contiguous(), right=True).clamp(1, edges.shape[1] - 1)
    (low, high), (start, end) = ((line.gather(1, upper - 1), line.gather(1, upper)) for line in (passed, edges))
    width = high - low
    within = torch.where(width > 0, (places - low) / torch.where(width > 0, width, 1.0), 0.0)
    return start + within.clamp(0, 1) * (end - start)


@torch.no_grad()
def resample(
    edges: Float[Tensor, "R E"],
    weights: Float[Tensor, "R S"],
    num_intervals: int,
    jitter: torch.Generator | None = None,
    padding: float = 0.01,
) -> Float[Tensor, "R M"]:
    """Edges of new intervals that are small where weight was found (Mip-NeRF, eq. 18); no gradient passes.

    The weights are made wider first: of each interval and its neighbours, the mean of the maxima of pairs.

    Args:
        edges: Of the intervals that have the weights.
        weights: As `volume.see` gives them.
        num_intervals: New ones.
        jitter: Draws the edges; None spreads them evenly.
        padding: Added to every weight, so that it is looked everywhere a little.
    """
    padded = torch.cat((weights[:, :1], weights, weights[:, -1:]), dim=1)
    maxima = torch.maximum(padded[:, :-1], padded[:, 1:])
    widened = (maxima[:, :-1] + maxima[:, 1:]) / 2 + padding
    return invert(edges, widened, _places(num_intervals + 1, jitter, edges))
