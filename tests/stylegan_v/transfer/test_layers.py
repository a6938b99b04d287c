"""Layers on other inputs, told apart from the naive way of asking the old layer itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stylegan_v.networks.layers import EqualizedConv1d, EqualizedConv2d, EqualizedLinear, StyledConv
from stylegan_v.networks.mapping import ConditionedMLP, MappingNetwork
from stylegan_v.transfer import layers
from stylegan_v.transfer.inputs import Inputs, joined, labels, same, unrelated
from stylegan_v.transfer.ledger import Ledger
from tests.stylegan_v.transfer.small_networks import one_hot, stirred


class Holder(nn.Module):
    def __init__(self, held: nn.Module) -> None:
        super().__init__()
        self.held = stirred(held)


def pair(new: nn.Module, old: nn.Module) -> tuple[Ledger, nn.Module, nn.Module]:
    new, old = Holder(new), Holder(old)
    new.requires_grad_(False), old.requires_grad_(False)
    return Ledger("network", old, new), new.held, old.held


def outcomes(ledger: Ledger) -> dict[str, str]:
    """By tensor of the new layer."""
    return {row.name.removeprefix("held."): row.outcome for row in ledger.rows() if row.outcome != "unused"}


def test_a_fully_connected_layer_with_other_inputs() -> None:
    ledger, new, old = pair(EqualizedLinear(5, 3, lr_multiplier=0.01), EqualizedLinear(4, 3, lr_multiplier=0.01))
    inputs = Inputs(torch.randn(4, 5), torch.randn(4), "reason")
    assert layers.layer(ledger, new, old, inputs)
    x = torch.randn(7, 5)
    torch.testing.assert_close(new(x), old(x @ inputs.matrix.T + inputs.rest), rtol=1e-4, atol=1e-5)
    assert outcomes(ledger) == {"weight": "adapted", "bias": "adapted"}


def test_a_layer_with_other_outputs_starts_anew() -> None:
    ledger, new, old = pair(EqualizedLinear(4, 5), EqualizedLinear(4, 3))
    before = {name: value.clone() for name, value in new.state_dict().items()}
    assert not layers.layer(ledger, new, old, same(4))
    assert all(torch.equal(before[name], value) for name, value in new.state_dict().items())
    assert outcomes(ledger) == {"weight": "new", "bias": "new"}


def test_a_convolution_with_more_channels_ignores_them() -> None:
    ledger, new, old = pair(EqualizedConv2d(5, 3, 3, down=2), EqualizedConv2d(4, 3, 3, down=2))
    assert layers.layer(ledger, new, old, joined(same(4), unrelated(0, 1)))
    x = torch.randn(2, 5, 8, 8)
    torch.testing.assert_close(new(x), old(x[:, :4]))


def test_a_convolution_in_time_with_a_label_held_at_the_mean_class() -> None:
    ledger, new, old = pair(EqualizedConv1d(3, 4, 3), EqualizedConv1d(3 + 1, 4, 3))
    layers.layer(ledger, new, old, joined(same(3), labels(1, 0)))
    x = torch.randn(2, 3, 9)
    torch.testing.assert_close(new(x), old(torch.cat([x, torch.ones(2, 1, 9)], dim=1)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("num_old", "num_new"), [(0, 3), (3, 5), (5, 3), (1, 0), (2, 2)])
def test_a_mapping_gives_the_styles_it_gave(num_old: int, num_new: int) -> None:
    ledger, new, old = pair(MappingNetwork(6, 8, num_new, 4), MappingNetwork(6, 8, num_old, 4))
    old.w_avg.normal_()
    assert layers.mlp(ledger, new, old, labels(num_old, num_new))
    z, common = torch.randn(4, 6), [n % min(num_old or num_new, num_new or num_old) for n in range(4)]
    expected = old(z, one_hot(num_old, *common), update_w_avg=False)
    found = new(z, one_hot(num_new, *common), update_w_avg=False)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(new.w_avg, old.w_avg)


def test_a_new_class_starts_as_the_mean_class() -> None:
    ledger, new, old = pair(ConditionedMLP(0, 8, 3), ConditionedMLP(0, 8, 2))
    layers.mlp(ledger, new, old, labels(2, 3))
    torch.testing.assert_close(new(None, one_hot(3, 2)), old(None, torch.full((1, 2), 0.5)), rtol=1e-4, atol=1e-5)


def test_without_labels_the_mean_of_what_they_said_stays() -> None:
    """The first layer is linear before its activation: there the mean over classes is exact."""
    ledger, new, old = pair(ConditionedMLP(6, 8, 0, 1), ConditionedMLP(6, 8, 3, 1))
    layers.mlp(ledger, new, old, labels(3, 0))
    new.layers[0].act = old.layers[0].act = "linear"
    z = torch.randn(4, 6)
    expected = torch.stack([old(z, one_hot(3, n, n, n, n)) for n in range(3)]).mean(dim=0)
    torch.testing.assert_close(new(z, None), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sizes", [{"out_dim": 9}, {"in_dim": 7}, {"num_layers": 3}])
def test_a_mapping_of_another_width_or_depth_starts_anew(sizes: dict[str, int]) -> None:
    shape = {"in_dim": 6, "out_dim": 8, "c_dim": 0, "num_layers": 2}
    ledger, new, old = pair(ConditionedMLP(**{**shape, **sizes}), ConditionedMLP(**shape))
    assert not layers.mlp(ledger, new, old, labels(0, 0))
    assert set(outcomes(ledger).values()) == {"new"}


def test_a_mapping_that_starts_constant_can_learn() -> None:
    ledger, new, _ = pair(ConditionedMLP(0, 8, 5), ConditionedMLP(0, 8, 5))
    value = torch.linspace(-2, 2, 8)
    layers.constant(ledger, new, value, "constant")
    new.requires_grad_(True)
    out = new(None, torch.randn(4, 5))
    torch.testing.assert_close(out, value.expand(4, -1))
    (out * torch.randn(4, 8)).sum().backward()
    assert new.layers[-1].weight.grad.ne(0).all()
    layers.silence(ledger, new, "nothing")
    assert not new(None, torch.randn(4, 5)).any()


def test_a_modulated_convolution_with_channels_that_start_at_zero() -> None:
    ledger, new, old = pair(StyledConv(5, 4, 7, up=2), StyledConv(3, 4, 6, up=2))
    channels, styles = joined(same(3), unrelated(0, 2, "more")), joined(same(6), unrelated(0, 1))
    fresh = new.affine.weight[3:].clone()
    assert layers.styled(ledger, new, old, channels, styles)
    x, w = torch.randn(2, 5, 4, 4), torch.randn(2, 7)
    torch.testing.assert_close(new(x, w), old(x[:, :3], w[:, :6]))
    torch.testing.assert_close(new.affine.weight[3:], fresh)
    assert outcomes(ledger)["bias"] == "taken" and outcomes(ledger)["affine.weight"] == "adapted"


def test_noise_of_another_size_leaves_the_convolution_as_it_was() -> None:
    ledger, new, old = pair(StyledConv(3, 4, 6, noise_size=(8, 4)), StyledConv(3, 4, 6, noise_size=(4, 4)))
    assert layers.styled(ledger, new, old, same(3), same(6))
    assert outcomes(ledger).pop("noise_const") == "new"
    assert {name for name, outcome in outcomes(ledger).items() if outcome == "new"} == {"noise_const"}
    assert torch.equal(new.noise_strength, old.noise_strength)
    ledger, new, old = pair(StyledConv(3, 4, 6, noise_size=(8, 4)), StyledConv(3, 4, 6))
    assert layers.styled(ledger, new, old, same(3), same(6))
    assert outcomes(ledger)["noise_strength"] == "new" and outcomes(ledger)["weight"] == "taken"
