from __future__ import annotations

import torch

from fields.hash_grid import PRIMES, spatial_hash


def test_the_hash_is_that_of_unsigned_32_bit_arithmetic() -> None:
    vertices = torch.randint(0, 2**20, (50, 3))
    expected = []
    for vertex in vertices.tolist():
        hashed = 0
        for number, prime in zip(vertex, PRIMES, strict=False):
            hashed ^= number * prime % 2**32
        expected.append(hashed % 512)
    assert spatial_hash(vertices, 512).tolist() == expected


def test_neighbours_along_the_first_axis_differ_in_the_lowest_bits_alone() -> None:
    vertices = torch.tensor([[4, 7, 9], [5, 7, 9]])
    first, second = spatial_hash(vertices, 2**12).tolist()
    assert first ^ second == 1
