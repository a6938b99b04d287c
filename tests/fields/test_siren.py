from __future__ import annotations

import math

import pytest
import torch

from fields.siren import Siren


def test_layers_are_sines_of_linear_layers() -> None:
    siren, x = Siren(2, 3, (5, 4), omega_first=30, omega=7), torch.rand(6, 2)
    first, second = (layer for layer in siren.layers)
    h = torch.sin(30 * (x @ first.weight.T + first.bias))
    h = torch.sin(7 * (h @ second.weight.T + second.bias))
    torch.testing.assert_close(siren(x), h @ siren.last.weight.T + siren.last.bias)


def test_modulations_multiply_after_each_sine() -> None:
    siren, x = Siren(2, 3, (5, 4)), torch.rand(6, 2)
    factors = [torch.rand(6, 5), torch.rand(6, 4)]
    h = siren.layers[1](siren.layers[0](x) * factors[0]) * factors[1]
    assert torch.equal(siren(x, factors), siren.last(h))
    torch.testing.assert_close(siren(x, [torch.ones(6, 5), torch.ones(6, 4)]), siren(x))


@torch.no_grad()
@pytest.mark.parametrize("like_weights", [False, True])
def test_starting_values_are_uniform_within_the_bounds(like_weights: bool) -> None:
    siren = Siren(3, 3, (256, 256), 30, 30, like_weights)
    bound = math.sqrt(6 / 256) / 30
    for layer, expected in ((siren.layers[0], 1 / 3), (siren.layers[1], bound), (siren.last, bound)):
        assert 0.95 * expected < float(layer.weight.abs().max()) <= expected
    assert 0.9 / 16 < float(siren.layers[1].bias.abs().max()) <= 1 / 16 or like_weights
    assert not like_weights or 0.9 * bound < float(siren.layers[1].bias.abs().max()) <= bound


def test_activations_keep_their_spread_through_the_layers() -> None:
    x = torch.rand(2000, 2) * 2 - 1
    for layer in Siren(2, 1, (256,) * 5).requires_grad_(False).layers:
        x = layer(x)
        assert float(x.std()) == pytest.approx(1 / math.sqrt(2), abs=0.04)
