from __future__ import annotations

import torch

from fields.coords import mesh, times
from fields.siren_video import EncodedMLP, SirenVideo, octaves


def test_the_first_and_last_elements_lie_at_the_ends() -> None:
    field = SirenVideo((3, 5, 7), (8, 8))
    first = torch.cat((times(3)[:1], mesh((5, 7))[0, 0]))[None]
    last = torch.cat((times(3)[-1:], mesh((5, 7))[-1, -1]))[None]
    torch.testing.assert_close(field(first), field.network(-torch.ones(1, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(field(last), field.network(torch.ones(1, 3)), rtol=1e-4, atol=1e-5)


def test_sizes_of_the_published_and_of_the_small_network() -> None:
    with torch.device("meta"):
        published = SirenVideo((300, 512, 512))
    assert sum(parameter.numel() for parameter in published.parameters()) == 4 * 1024 + 3 * 1024 * 1025 + 3 * 1025
    small = SirenVideo((16, 32, 32), (64,) * 4)
    assert sum(parameter.numel() for parameter in small.parameters()) == 12_931


def test_the_rival_is_a_perceptron_on_the_encoding() -> None:
    network, x = EncodedMLP(3, 2, 4, (8,)), torch.rand(5, 3)
    encoded = octaves(3, 4)(x)
    assert encoded.shape == (5, 3 * (2 * 4 + 1))
    assert torch.equal(network(x), network.mlp(encoded))
