"""Which latents answer for a point in LIIF, from where, and with what weight. Always float32.

Shape legend
    B       images
    N       points per image
    M       members of the ensemble: 4, or 1
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float32, Int64
from torch import Tensor

from fields.coords import axes_of

# Shifts a member point to one side, so that a point on a latent's centre has an unambiguous nearest one.
SHIFT = 1e-6
# Member points stay this far inside of the image.
MARGIN = 1e-6
# Keeps the sum of areas away from zero.
AREA_FLOOR = 1e-9


class Members(NamedTuple):
    """What each member of the ensemble is for each point.

    Args:
        index: Its latent's place, row by row.
        offset: From the latent's centre to the point, in half latent spacings, so in (-2, 2) inside of the image.
        weight: Its share of the answer; shares sum to 1.
    """

    index: Int64[Tensor, "M B N"]
    offset: Float32[Tensor, "M B N 2"]
    weight: Float32[Tensor, "M B N"]


def member_points(coords: Float32[Tensor, "B N 2"], size: tuple[int, int], ensemble: bool) -> list[Tensor]:
    """Points ``[B, N, 2]`` whose nearest latents are the members, in the order (-,-), (-,+), (+,-), (+,+).

    Args:
        coords: Points (y, x) in [-1, 1].
        size: Height and width of the features.
        ensemble: Half a spacing to each side, or the point itself.
    """
    sides = list(product((-1, 1), repeat=2)) if ensemble else [(0, 0)]
    nudge = SHIFT if ensemble else 0.0
    shifts = [[side / n + nudge for side, n in zip(pair, size, strict=True)] for pair in sides]
    return [(coords + coords.new_tensor(shift)).clamp(-1 + MARGIN, 1 - MARGIN) for shift in shifts]


def shares(offsets: list[Tensor]) -> list[Tensor]:
    """Weights ``[B, N]`` of members: the area between the point and the member diagonally opposite, over the sum.

    Args:
        offsets: Of the members, ``[B, N, 2]`` each, in their order.
    """
    areas = [(offset[..., 0] * offset[..., 1]).abs() + AREA_FLOOR for offset in offsets]
    total = sum(areas)
    return [area / total for area in reversed(areas)]


def members(coords: Float32[Tensor, "B N 2"], size: tuple[int, int], ensemble: bool) -> Members:
    """The members for points, by whole-number arithmetic.

    Args:
        coords: Points (y, x) in [-1, 1].
        size: Height and width of the features.
        ensemble: Four members, or the nearest latent alone.
    """
    counts = coords.new_tensor(size)
    points = torch.stack(member_points(coords, size, ensemble))
    # Half-way cases go to the even index, as in nearest grid sampling.
    row, column = rearrange(torch.round(((points + 1) * counts - 1) / 2).long(), "m b n yx -> yx m b n")
    rows, columns = axes_of(size, device=coords.device)
    offset = (coords - torch.stack((rows[row], columns[column]), dim=-1)) * counts
    return Members(row * size[1] + column, offset, torch.stack(shares(list(offset))))
