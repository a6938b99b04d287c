"""Signals of one variable: counts of the published table, the encoding, where samples lie."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from errors import InputError
from fields.cam_signal import CAMSignal, SignalNetwork, octaves
from fields.coords import centres


@pytest.mark.parametrize(
    ("num_octaves", "knots", "count"), [(0, 0, 12_673), (16, 0, 14_721), (0, 64, 13_185), (16, 64, 15_233)]
)
def test_counts_of_the_published_networks(num_octaves: int, knots: int, count: int) -> None:
    assert sum(one.numel() for one in CAMSignal((200,), num_octaves=num_octaves, knots=knots).parameters()) == count


def test_the_encoding_is_x_sines_cosines() -> None:
    x = torch.tensor([[0.3], [0.9]], dtype=torch.float64)
    angles = x * torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    torch.testing.assert_close(octaves(3)(x), torch.cat((x, angles.sin(), angles.cos()), dim=1))


def test_the_first_and_last_sample_are_the_ends_of_the_grids() -> None:
    field = CAMSignal((5,), hidden=(3,), knots=5)
    x = torch.linspace(0, 1, 5)[:, None]
    torch.testing.assert_close(field(centres(5)[:, None]), field.network(x))
    cam = field.network.mlp.modulations[0]
    nn.init.normal_(cam.gamma.values)
    torch.testing.assert_close(cam.read(2 * x - 1)[0][:, 0], cam.gamma.values[0])


def test_beyond_the_grids_scale_and_shift_fade() -> None:
    network = SignalNetwork((3,), knots=5)
    far = network(torch.tensor([[-0.3], [1.3], [2.0]]))
    torch.testing.assert_close(far, network.mlp.last.bias.expand(3, 1))


def test_it_is_bent_by_modulation_alone() -> None:
    """Between knots, with a single layer, it is a polynomial of the second degree."""
    network = SignalNetwork((6,), knots=3).double()
    for grid in network.mlp.modulations.parameters():
        nn.init.normal_(grid)
    values = network(torch.linspace(0.5, 1, 5, dtype=torch.float64)[:, None])[:, 0]
    assert values.diff(n=3).abs().max() < 1e-12 < values.diff(n=2).abs().max()


@pytest.mark.parametrize(
    "arguments",
    [
        {"size": (1,)},
        {"size": (4, 4)},
        {"size": (9,), "knots": -1},
        {"size": (9,), "knots": 1},
        {"size": (9,), "num_octaves": -1},
    ],
)
def test_impossible_settings_are_refused(arguments: dict) -> None:
    with pytest.raises(InputError):
        CAMSignal(**arguments)
