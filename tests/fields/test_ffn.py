from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.coords import centres
from fields.ffn import FFN, FourierMLP


def test_values_of_a_sigmoid_are_stretched() -> None:
    field = FFN((3, 5, 7), 8, hidden=(8,), final="sigmoid")
    points = torch.rand(9, 3) * 2 - 1
    with torch.no_grad():
        field.network.mlp.layers[-1].bias.fill_(100.0)
        torch.testing.assert_close(field(points), torch.ones(9, 3))
        field.network.mlp.layers[-1].bias.fill_(-100.0)
        torch.testing.assert_close(field(points), -torch.ones(9, 3))


def test_elements_lie_at_their_number_over_the_count() -> None:
    field = FFN((3, 5, 7), 8, (0.5, 1.0, 1.0), hidden=(8,))
    points = torch.stack((centres(3)[[1]], centres(5)[[2]], centres(7)[[6]]), dim=1)
    expected = field.network(torch.tensor([[1 / 3, 2 / 5, 6 / 7]]))
    torch.testing.assert_close(field(points), expected, rtol=1e-4, atol=1e-5)


def test_frequencies_are_as_wide_along_each_axis_as_asked() -> None:
    frequencies = FourierMLP(3, 4000, (1.0, 4.0, 16.0)).encoding.frequencies
    torch.testing.assert_close(frequencies.std(dim=0), torch.tensor([1.0, 4.0, 16.0]), rtol=0.05, atol=0)


def test_size_of_the_small_network() -> None:
    field = FFN((16, 32, 32), 64, (1.0, 4.0, 4.0), (64, 64, 64))
    assert sum(parameter.numel() for parameter in field.parameters()) == 16_771


def test_another_end_is_refused() -> None:
    with pytest.raises(InputError, match="final"):
        FourierMLP(final="tanh")
