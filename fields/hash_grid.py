"""Where a vertex is kept in a table smaller than its grid: the hash of Instant-NGP (Mueller et al., SIGGRAPH 2022).

Vertices that fall on the same entry share it; training decides in favour of those that matter. Neighbours in the table
are not neighbours in space, so that such tables cannot be coded as images.

Shape legend
    N       vertices
    D       axes
"""

from __future__ import annotations

from jaxtyping import Int64
from torch import Tensor

# The first is 1, so that neighbours along the first axis stay neighbours (section 3 of the paper; further ones as in
# tiny-cuda-nn, for up to seven axes).
PRIMES = (1, 2654435761, 805459861, 3674653429, 2097192037, 1434869437, 2165219737)
UINT32 = 0xFFFFFFFF


def spatial_hash(vertices: Int64[Tensor, "N D"], size: int) -> Int64[Tensor, " N"]:
    """Entries of a table, ``xor_d(vertex_d prime_d mod 2^32) mod size`` (eq. 4).

    Args:
        vertices: Numbers of vertices along each axis.
        size: Entries of the table.
    """
    hashed = vertices[..., 0] * PRIMES[0]
    for axis in range(1, vertices.shape[-1]):
        hashed = hashed ^ (vertices[..., axis] * PRIMES[axis])
    return (hashed & UINT32) % size
