from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from errors import InputError
from fields.interface import parameter_groups
from fields.modulation import CAM
from fields.quantisers import MinMax
from fields.radiance.network import Dense, RadianceMLP, Trunk, by_view


def test_a_trunk_is_its_layers_one_by_one() -> None:
    trunk, x = Trunk(3, width=5, depth=4, skip=2), torch.randn(6, 3)
    first, second, third, fourth = trunk.layers
    h = first(x).relu()
    h = second(h).relu()
    h = torch.cat((third(h).relu(), x), dim=1)
    torch.testing.assert_close(trunk(x), fourth(h).relu())
    assert trunk.out_dim == 5


def test_the_input_may_be_joined_in_behind_the_last_layer() -> None:
    trunk, x = Trunk(3, width=5, depth=3, skip=2), torch.randn(6, 3)
    assert trunk.out_dim == 8
    assert torch.equal(trunk(x)[:, 5:], x)


def test_features_are_modulated_before_they_are_rectified() -> None:
    trunk, x, t = Trunk(3, width=5, depth=1, modulation=partial(CAM, (2,))), torch.randn(6, 3), torch.zeros(6, 1)
    with torch.no_grad():
        trunk.modulations[0].gamma.values.fill_(-2.0)
        trunk.modulations[0].beta.values.fill_(0.25)
    torch.testing.assert_close(trunk(x, t), (0.25 - 2 * trunk.layers[0](x)).relu())


def test_every_layer_has_grids_of_its_own() -> None:
    trunk = Trunk(3, width=5, depth=3, modulation=partial(CAM, (4,)))
    grids = [group for group in parameter_groups(trunk) if group["name"] == "grids"]
    assert len(grids[0]["params"]) == 6 and len(set(map(id, grids[0]["params"]))) == 6


def test_weights_are_quantised_and_biases_are_not() -> None:
    dense, x = Dense(4, 3, MinMax(3)), torch.randn(5, 4)
    with torch.no_grad():
        dense.bias.normal_()
    torch.testing.assert_close(dense(x), F.linear(x, MinMax(3)(dense.weight), dense.bias))
    assert MinMax(3)(dense.weight).unique().numel() <= 7
    dense(x).sum().backward()
    torch.testing.assert_close(dense.weight.grad, x.sum(dim=0).expand(3, 4))


def test_density_knows_nothing_of_the_view() -> None:
    network, points = RadianceMLP(6, 4, width=8, depth=2, colour_width=5), torch.randn(3, 7, 6)
    rgb, density = network(points, torch.randn(3, 4))
    other_rgb, other_density = network(points, torch.randn(3, 4))
    assert rgb.shape == (3, 7, 3) and density.shape == (3, 7)
    assert torch.equal(density, other_density) and not torch.allclose(rgb, other_rgb)


@pytest.mark.parametrize("settings", [{"width": 0}, {"depth": 0}, {"skip": 0}])
def test_sizes_are_at_least_one(settings: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least 1"):
        Trunk(3, **settings)


def test_grids_over_views_have_two_axes_and_a_known_elevation() -> None:
    assert by_view(None) is None
    made = by_view((4, 3), "ray", "official", periodic=True)()
    assert made.gamma.shape == (4, 3) and made.gamma.periodic == (True, False) and made.norm == "ray"
    for knots in ((4,), (4, 1), (1, 3)):
        with pytest.raises(InputError, match=r"view_knots .* at least 2 each"):
            by_view(knots)
    with pytest.raises(InputError, match="elevation"):
        by_view((4, 3), elevation="half")
