"""The perceptron with a modulation after each hidden layer."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from errors import InputError
from fields.modulated_mlp import ModulatedMLP
from fields.modulation import CAM

X, COORDS = torch.rand(7, 3), torch.rand(7, 2) * 2 - 1


def test_it_is_linear_modulation_activation() -> None:
    mlp = ModulatedMLP(3, 2, (4, 5), partial(CAM, (3, 3), norm="layer"))
    for grid in mlp.modulations.parameters():
        nn.init.uniform_(grid)
    x = X
    for layer, cam in zip(mlp.layers, mlp.modulations, strict=True):
        x = cam(layer(x), COORDS).relu()
    assert torch.equal(mlp(X, COORDS), mlp.last(x))


def test_without_activation_and_modulation_it_is_linear() -> None:
    mlp = ModulatedMLP(3, 2, (4, 5), activation=None)
    middle = mlp(X, COORDS) + mlp(-X, COORDS) - 2 * mlp(torch.zeros_like(X), COORDS)
    torch.testing.assert_close(middle, torch.zeros_like(middle), rtol=0, atol=1e-6)


def test_fresh_modulation_without_norm_changes_nothing() -> None:
    plain, modulated = ModulatedMLP(3, 2, (4, 5)), ModulatedMLP(3, 2, (4, 5), partial(CAM, (3, 3)))
    modulated.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(modulated(X, COORDS), plain(X, COORDS), rtol=0, atol=1e-6)


@pytest.mark.parametrize("hidden", [(), (4, 0)])
def test_impossible_widths_are_refused(hidden: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="at least one layer"):
        ModulatedMLP(3, 2, hidden)
