from __future__ import annotations

import pytest
import torch

from errors import InputError
from fields.ffnerv.network import FFNeRVNetwork
from fields.interface import parameter_groups
from fields.modulation import CAM
from fields.quantisers import TanhFloor
from tests.fields.ffnerv.small_fields import small_network


def test_flows_are_as_many_and_as_large_as_they_should() -> None:
    heads = small_network()(torch.tensor([0.0, 0.5]))
    assert heads.flow.shape == (2, 12, 4, 6) and heads.frame.shape == (2, 5, 16, 24)
    assert small_network().out_size == (16, 24)
    assert small_network(strides=(2, 3, 2, 2))(torch.tensor([0.5])).flow.shape == (1, 12, 12, 18)


def test_independent_frames_are_colours() -> None:
    heads = small_network()(torch.tensor([0.0, 0.5]))
    assert heads.independent.min() >= 0 and heads.independent.max() <= 1
    torch.testing.assert_close(heads.independent, heads.frame[:, :3])


def test_frames_do_not_depend_on_each_other() -> None:
    network, t = small_network(), torch.tensor([0.0, 0.2, 0.9])
    together = network(t)
    for number in range(3):
        alone = network(t[number : number + 1])
        torch.testing.assert_close(alone.frame[0], together.frame[number])
        torch.testing.assert_close(alone.flow[0], together.flow[number])


@pytest.mark.parametrize("settings", [{}, {"cam_knots": None}, {"bits": 6}, {"bits": 6, "convolution": "compact"}])
def test_every_parameter_gets_a_gradient(settings: dict) -> None:
    network = small_network(**settings)
    heads = network(torch.rand(64))
    (heads.flow.square().sum() + heads.frame.square().sum()).backward()
    without = [name for name, parameter in network.named_parameters() if not parameter.grad.abs().max() > 0]
    assert not without


def test_without_cam_nothing_is_modulated() -> None:
    plain = small_network(cam_knots=None)
    assert not [module for module in plain.modules() if isinstance(module, CAM)]
    groups = {group["name"]: len(group["params"]) for group in parameter_groups(plain)}
    assert groups == {"network": 2 * (3 + 2), "grids": 2}
    groups = {group["name"]: len(group["params"]) for group in parameter_groups(small_network())}
    assert groups == {"network": 2 * (3 + 2), "grids": 2 + 2 * 3}


def test_heads_have_bits_of_their_own() -> None:
    network = small_network(bits=6)
    assert network.flow_head.quantiser.bits == network.frame_head.quantiser.bits == 8
    bits = {module.bits for block in network.blocks for module in block.modules() if isinstance(module, TanhFloor)}
    assert bits == {6}


def test_a_factor_starts_below_one_where_it_is_quantised() -> None:
    cam = small_network(bits=6).blocks[0].cam
    gamma, beta = cam.read(torch.tensor([[0.3]]))
    torch.testing.assert_close(gamma, torch.full_like(gamma, 23 / 31))
    assert not beta.any()


def test_published_widths() -> None:
    with torch.device("meta"):
        network = FFNeRVNetwork()
    assert [len(block.cam.gamma.values) for block in network.blocks] == [156, 96, 96, 96, 96]
    assert network.out_size == (720, 1280)


def test_networks_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="3 or more"):
        small_network(strides=(2, 2))
    with pytest.raises(InputError, match="cam_knots 1: give at least 2"):
        small_network(cam_knots=1)
    with pytest.raises(InputError, match="2 to 24"):
        small_network(bits=1)
