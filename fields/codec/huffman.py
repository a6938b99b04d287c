"""How many bits a Huffman code takes: what FFNeRV and CAM report, without a file (Huffman 1952).

Shape legend
    S       symbols
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from errors import InputError


def code_lengths(counts: Sequence[int]) -> list[int]:
    """Bits of the code of each symbol; of one symbol alone, one.

    Args:
        counts: How often each of S symbols occurs, at least once.

    Raises:
        InputError: If there is no symbol, or one that does not occur.
    """
    if not counts or min(counts) < 1:
        raise InputError("Huffman code: give the counts of at least one symbol, each at least 1")
    lengths = [0 if len(counts) > 1 else 1] * len(counts)
    # Of equally rare groups the older are joined first: the lengths do not depend on anything else.
    groups = [(count, number, [number]) for number, count in enumerate(counts)]
    heapq.heapify(groups)
    for joined in range(len(counts), 2 * len(counts) - 1):
        (first, _, one), (second, _, two) = heapq.heappop(groups), heapq.heappop(groups)
        for symbol in one + two:
            lengths[symbol] += 1
        heapq.heappush(groups, (first + second, joined, one + two))
    return lengths


def average_bits(counts: Sequence[int], end_symbol: bool = True) -> float:
    """Bits per symbol of a sequence under its own Huffman code.

    Args:
        counts: How often each of S symbols occurs, at least once.
        end_symbol: Whether the code has one more symbol, as if it occurred once, that marks the end; it is not counted.
    """
    lengths = code_lengths([*counts, 1] if end_symbol else counts)
    return sum(count * length for count, length in zip(counts, lengths, strict=False)) / sum(counts)


def entropy_bits(counts: Sequence[int]) -> float:
    """Bits per symbol that no code of single symbols goes below.

    Args:
        counts: How often each of S symbols occurs, at least once.
    """
    total = sum(counts)
    return -sum(count / total * math.log2(count / total) for count in counts)
