from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from errors import InputError
from fields.interface import parameter_groups
from fields.modulation import GridModulation, LatentModulator, standardise


def test_standardised_features_have_no_mean_and_unit_variance() -> None:
    x = torch.randn(4, 6, 5) * 3 + 2
    torch.testing.assert_close(standardise(x, (-1,)), F.layer_norm(x, (5,)))
    torch.testing.assert_close(standardise(x, (1, 2)), F.layer_norm(x, (6, 5)))
    torch.testing.assert_close(standardise(x[..., None], (2, 3)), F.instance_norm(x[..., None]))


def test_a_factor_is_a_layer_of_the_one_before_and_the_latent() -> None:
    modulator, latent = LatentModulator(3, (5, 4)), torch.randn(6, 3)
    first, second = modulator(latent)
    torch.testing.assert_close(first, F.leaky_relu(modulator.layers[0](latent), 0.01))
    torch.testing.assert_close(second, F.leaky_relu(modulator.layers[1](torch.cat((first, latent), 1)), 0.01))


@pytest.mark.parametrize("shape", [(5,), (4, 7)])
@pytest.mark.parametrize("num_channels", [1, 6])
def test_grids_start_as_the_identity_and_are_marked(shape: tuple[int, ...], num_channels: int) -> None:
    layer, x = GridModulation(shape, num_channels), torch.randn(9, 6)
    coords = torch.rand(9, len(shape)) * 2 - 1
    torch.testing.assert_close(layer(x, coords), x)
    assert [group["name"] for group in parameter_groups(layer)] == ["grids"]


def test_knots_are_read_exactly_and_linearly_between() -> None:
    layer = GridModulation((3, 5))
    with torch.no_grad():
        layer.gamma.copy_(torch.randn(1, 3, 5))
        layer.beta.copy_(torch.randn(1, 3, 5))
    knots = torch.cartesian_prod(torch.linspace(-1, 1, 3), torch.linspace(-1, 1, 5))
    gamma, beta = layer.read(knots)
    torch.testing.assert_close(gamma[:, 0], layer.gamma.flatten(), rtol=0, atol=1e-6)
    torch.testing.assert_close(beta[:, 0], layer.beta.flatten(), rtol=0, atol=1e-6)
    halfway, _ = layer.read((knots[:1] + knots[1:2]) / 2)
    torch.testing.assert_close(halfway[0, 0], layer.gamma[0, 0, :2].mean(), rtol=0, atol=1e-6)


def test_channels_have_their_own_grids_along_time() -> None:
    layer = GridModulation((4,), 2)
    with torch.no_grad():
        layer.gamma.copy_(torch.tensor([[0.0, 1, 2, 3], [5, 5, 5, 8]]))
    gamma, beta = layer.read(torch.tensor([[-1.0], [0.0], [1.0]]))
    torch.testing.assert_close(gamma, torch.tensor([[0.0, 5], [1.5, 5], [3, 8]]))
    assert torch.equal(beta, torch.zeros(3, 2))


def test_beyond_the_knots_the_last_is_repeated_or_all_fades() -> None:
    outside = torch.tensor([[1.25], [1.5], [3.0]])
    torch.testing.assert_close(GridModulation((5,)).read(outside)[0], torch.ones(3, 1))
    faded = GridModulation((5,), padding="zeros").read(outside)[0]
    torch.testing.assert_close(faded, torch.tensor([[0.5], [0.0], [0.0]]))


def test_gradients_of_gradients_reach_grids_and_features() -> None:
    layer, coords = GridModulation((3, 3)).double(), torch.rand(4, 2, dtype=torch.float64) - 0.5
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x, g: (g.mean() * layer(x, coords)).tanh(), (x, layer.gamma))


def test_grids_of_three_axes_are_refused() -> None:
    with pytest.raises(InputError, match="3 axes"):
        GridModulation((2, 2, 2))
