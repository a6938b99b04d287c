"""Small copies of all frames of a video, and the distances between them: what recurrence and drift are made of.

Distances are root mean square differences of low-passed frames whose shorter side has 16 pixels, in units of the
pixels' range (1 is from black to white). A square frame is kept in 1.5 kB, 100 000 of them in 150 MB; distances are
worked out in blocks that do not grow with their number.

Shape legend
    F       frames of a clip
    f       frames of one part of a clip
    H, W    height and width
    D       values of a small copy
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Float16, Float64
from torch import Tensor

from stylegan_v.metrics.motion.frames import smaller

SIDE = 16
_MOST_DISTANCES = 2**22  # in memory together
_TILE = 4096  # frames that are widened to float64 together


class Thumbnails:
    """Keeps a small copy of every frame; a follower of one video."""

    def __init__(self) -> None:
        self._kept: list[Tensor] = []

    def add(self, frames: Float[Tensor, "f 3 H W"]) -> None:
        self._kept.append(smaller(frames, SIDE).flatten(1).half())

    def result(self) -> Float16[Tensor, "F D"]:
        """All of them, where the frames were."""
        return torch.cat(self._kept)


def distances(
    first: Float16[Tensor, "m D"], second: Float16[Tensor, "n D"], centre: Float64[Tensor, " D"]
) -> Float64[Tensor, "m n"]:
    """All distances between two sets of small copies.

    Args:
        first: A set.
        second: Another.
        centre: Any point near both; what they have in common would cost digits.
    """
    a, b = first.double() - centre, second.double() - centre
    squares = a.square().sum(dim=1, keepdim=True) + b.square().sum(dim=1) - 2 * a @ b.T
    return (squares.clamp(min=0) / first.shape[1]).sqrt()


def distances_to_earlier(copies: Float16[Tensor, "F D"]) -> Iterator[tuple[int, Float64[Tensor, "m n"]]]:
    """Distances of all frames to all earlier ones, in blocks of rows.

    Args:
        copies: Of one video.

    Yields:
        Number of the block's first frame, and the distances of its frames to frames 0, 1, ... up to its last one.
    """
    centre = copies.mean(dim=0, dtype=torch.float64)
    num_rows = max(1, _MOST_DISTANCES // len(copies))
    for start in range(0, len(copies), num_rows):
        rows = copies[start : start + num_rows]
        columns = copies[: start + len(rows)].split(_TILE)
        yield start, torch.cat([distances(rows, tile, centre) for tile in columns], dim=1)
