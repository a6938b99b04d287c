"""What is known of a symbol before it is decoded: how large those are that came before it and lie around it.

Of a picture, symbols come in three turns: those of even rows and columns, those of odd rows and columns, the rest; so
that the second know their four diagonal neighbours and the third their four nearest, and a turn is decoded at once.
Pictures of a channel also know the one of the channel before, those of a slice the slice before. All of this is
arithmetic of whole numbers: it comes out the same on every machine.

Shape legend
    K       pictures of a stack: slices times channels, the channels of a slice side by side
    H, W    height and width of a picture
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int64
from torch import Tensor

TURNS = 3
EDGES = (1, 2, 3, 5, 8, 13, 21)  # of the sum of the neighbours' sizes
PER_TURN = len(EDGES) + 1
NUM_CONTEXTS = TURNS * PER_TURN

Sizes = Int64[Tensor, "K H W"]


def turns(height: int, width: int, device: torch.device | None = None) -> Int64[Tensor, "H W"]:
    """When each symbol of a picture has its turn: 0, 1 or 2."""
    odd_row, odd_column = (torch.arange(n, device=device) % 2 for n in (height, width))
    return torch.where(odd_row[:, None] == odd_column, odd_row[:, None] * odd_column, TURNS - 1)


def contexts(sizes: Sizes, channels: int, group: int) -> Int64[Tensor, "K H W"]:
    """The context of every symbol, from 0 to ``NUM_CONTEXTS - 1``.

    Args:
        sizes: Absolute values of the symbols.
        channels: Pictures of a slice.
        group: Slices that are decoded together: the first of them knows no slice before it.
    """
    turn = turns(*sizes.shape[1:], sizes.device)
    return _numbered(_within(sizes, turn) + _before(sizes, channels, group), turn)


def context_of_turn(sizes: Sizes, number: int, channels: int, mask: Bool[Tensor, "H W"]) -> Int64[Tensor, " M"]:
    """The same as `contexts` for one turn of one picture, of a stack that is one group.

    Args:
        sizes: Of the stack, of which what comes later does not matter.
        number: Of the picture.
        channels: Pictures of a slice.
        mask: Where its turn is.
    """
    first = max(0, number - channels)
    first -= first % channels
    known = sizes[first : number + 1]
    turn = turns(*sizes.shape[1:], sizes.device)
    sums = _within(known[-1:], turn) + _before(known, channels, 2)[-1:]
    return _numbered(sums, turn)[0][mask]


def _numbered(sums: Sizes, turn: Int64[Tensor, "H W"]) -> Int64[Tensor, "K H W"]:
    return turn * PER_TURN + torch.bucketize(sums, sums.new_tensor(EDGES), right=True)


def _within(sizes: Sizes, turn: Int64[Tensor, "H W"]) -> Sizes:
    """Sums over neighbours in the same picture whose turn came earlier."""
    around = F.pad(sizes, (1, 1, 1, 1))
    above_below = around[:, :-2] + around[:, 2:]
    diagonal = above_below[..., :-2] + above_below[..., 2:]
    nearest = above_below[..., 1:-1] + around[:, 1:-1, :-2] + around[:, 1:-1, 2:]
    return diagonal * (turn == 1) + nearest * (turn == TURNS - 1)


def _before(sizes: Sizes, channels: int, group: int) -> Sizes:
    """Sums over the channel before, and the slice before and its nearest neighbours."""
    number = torch.arange(len(sizes), device=sizes.device)[:, None, None]
    channel = F.pad(sizes, (0, 0, 0, 0, 1, 0))[:-1] * (number % channels > 0)
    around = F.pad(sizes, (1, 1, 1, 1))
    nearest = around[:, :-2, 1:-1] + around[:, 2:, 1:-1] + around[:, 1:-1, :-2] + around[:, 1:-1, 2:]
    earlier = F.pad(2 * sizes + nearest, (0, 0, 0, 0, channels, 0))[: len(sizes)]
    return channel + earlier * ((number // channels) % group > 0)
