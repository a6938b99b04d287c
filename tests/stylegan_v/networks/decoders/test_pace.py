from __future__ import annotations

import torch
from torch import nn

from fields.modulation import LatentModulator
from fields.siren import Siren
from stylegan_v.networks.decoders.pace import Equalized


def test_it_computes_what_the_module_did() -> None:
    torch.manual_seed(0)
    for module, x in ((Siren(2, 3, (8, 8)), torch.rand(5, 2)), (nn.Linear(4, 3), torch.rand(5, 4))):
        expected = module(x)
        torch.testing.assert_close(Equalized(module)(x), expected)


def test_weights_are_of_the_size_of_those_of_the_generator() -> None:
    torch.manual_seed(0)
    made = Equalized(LatentModulator(64, (64, 64)))
    for name, value in made.module.named_parameters():
        if name.endswith("weight"):
            assert 0.5 < value.square().mean() < 4


def test_a_step_of_adam_moves_outputs_by_little() -> None:
    """Equal steps of all weights, as Adam takes them first, add up along the fan-in of layers."""
    moved = []
    for wrap in (Equalized, nn.Sequential):
        torch.manual_seed(0)
        layer = wrap(nn.Linear(256, 1))
        optimizer, x = torch.optim.Adam(layer.parameters(), lr=0.01), torch.ones(1, 256)
        before = layer(x)
        before.sum().backward()
        optimizer.step()
        moved.append((layer(x) - before).abs().item())
    assert abs(moved[0] - 0.01 * (256**0.5 + 1)) < 1e-3
    assert moved[1] > 10 * moved[0]


def test_it_learns_and_has_second_derivatives() -> None:
    torch.manual_seed(0)
    made, x = Equalized(Siren(2, 3, (8,))), torch.rand(4, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(made(x).sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert all(p.grad is not None for n, p in made.named_parameters() if n.endswith("layers.0.weight"))
