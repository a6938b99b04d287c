from __future__ import annotations

import pytest
import torch

from fields.rate.contexts import EDGES, PER_TURN, TURNS, context_of_turn, contexts, turns


def slow_context(sizes: list, number: int, y: int, x: int, channels: int, group: int) -> int:
    """The rule, symbol by symbol."""

    def at(n: int, row: int, column: int) -> int:
        inside = 0 <= row < len(sizes[0]) and 0 <= column < len(sizes[0][0])
        return sizes[n][row][column] if inside else 0

    nearest = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    turn = 2 if (y + x) % 2 else y % 2
    total = 0
    if turn == 1:
        total += sum(at(number, y + i, x + j) for i in (-1, 1) for j in (-1, 1))
    if turn == 2:
        total += sum(at(number, *place) for place in nearest)
    if number % channels:
        total += at(number - 1, y, x)
    if number // channels % group:
        before = number - channels
        total += 2 * at(before, y, x) + sum(at(before, *place) for place in nearest)
    return turn * PER_TURN + sum(total >= edge for edge in EDGES)


@pytest.mark.parametrize(("shape", "channels", "group"), [((6, 4, 5), 2, 2), ((3, 1, 7), 1, 3), ((4, 5, 1), 4, 1)])
def test_contexts_are_those_of_the_rule(shape: tuple[int, int, int], channels: int, group: int) -> None:
    sizes = torch.randint(0, 6, shape, generator=torch.Generator().manual_seed(0))
    found = contexts(sizes, channels, group)
    plain = sizes.tolist()
    for number in range(shape[0]):
        for y in range(shape[1]):
            for x in range(shape[2]):
                assert found[number, y, x] == slow_context(plain, number, y, x, channels, group)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_context_does_not_depend_on_what_comes_later(channels: int) -> None:
    draw = torch.Generator().manual_seed(1)
    sizes = torch.randint(0, 6, (6, 5, 6), generator=draw)
    found, turn = contexts(sizes, channels, 6), turns(5, 6)
    for number in range(6):
        for one in range(TURNS):
            known = torch.randint(0, 9, sizes.shape, generator=draw)
            known[:number] = sizes[:number]
            known[number][turn < one] = sizes[number][turn < one]
            mask = turn == one
            assert torch.equal(context_of_turn(known, number, channels, mask), found[number][mask])
