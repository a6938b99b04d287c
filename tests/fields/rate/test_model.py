from __future__ import annotations

import pytest
import torch
from torch import nn

from fields.nvp import NVP
from fields.rate.laplace import laplace_bits
from fields.rate.model import RateModel, context_matrix, rounded
from fields.rate.steps import nearest_step, step_of


def small() -> NVP:
    torch.manual_seed(0)
    field = NVP((4, 6, 8), levels=2, base=3, sparse_shape=[4, 3, 5], width=4, depth=1, capped=True)
    with torch.no_grad():
        for tensor in field.parameters():
            tensor.normal_(0, 0.2)
    return field


def test_rounding_gives_multiples_of_the_steps_and_the_bits_of_their_distributions() -> None:
    field = small()
    model = RateModel(field, -4.0, -5.0)
    with torch.no_grad():
        model.log2_step += torch.linspace(-1, 1, len(model.log2_step))
        model.log2_scale += torch.linspace(-1, 1, len(model.log2_scale))
        found, bits = model(dict(field.named_parameters()), None)
    steps, expected = model.steps(), 0.0
    for group, _, scales in model._each():
        tensor = field.get_parameter(group.name).detach()
        assert torch.equal(found[group.name], rounded(group, tensor, steps[group.name]))
        width = group.spread(step_of(steps[group.name]))
        symbols = (group.matrix(found[group.name]) / width).round()
        assert torch.equal(symbols * width, group.matrix(found[group.name]))
        context = context_matrix(group, symbols.long(), 8).expand_as(symbols)
        expected += float(laplace_bits(symbols, scales.detach()[context]).sum())
    assert float(bits) == pytest.approx(expected, rel=1e-5)


def test_what_was_rounded_stays() -> None:
    field = small()
    model = RateModel(field)
    steps = model.steps()
    for group in model.groupings:
        once = rounded(group, field.get_parameter(group.name).detach(), steps[group.name])
        assert torch.equal(rounded(group, once, steps[group.name]), once)


def test_noise_is_as_wide_as_the_step_and_the_same_for_the_same_key() -> None:
    field = small()
    model = RateModel(field, -3.0, -5.0)
    tensors = {name: one.detach() for name, one in field.named_parameters()}
    found, bits = model(tensors, (1, 2))
    again, same = model(tensors, (1, 2))
    other, _ = model(tensors, (1, 3))
    noise = found["sparse.embeddings"] - tensors["sparse.embeddings"]
    assert noise.abs().max() <= 0.125 / 2 + 1e-6 and noise.abs().max() > 0.9 * 0.125 / 2
    assert all(torch.equal(found[name], again[name]) for name in found) and torch.equal(bits, same)
    assert not torch.equal(found["sparse.embeddings"], other["sparse.embeddings"])


def test_expected_squared_error_of_noise_is_that_of_rounding() -> None:
    """Of numbers spread over many steps both are a twelfth of the squared step."""
    weights = nn.Linear(200, 100, bias=False)
    model = RateModel(weights, log2_weight_step=-8.0)
    tensors = dict(weights.named_parameters())
    expected = 2.0**-16 / 12
    for key in (None, (0, 0)):
        found, _ = model(tensors, key)
        assert float((found["weight"] - weights.weight).detach().square().mean()) == pytest.approx(expected, rel=0.03)


def test_derivatives_reach_numbers_steps_and_distributions() -> None:
    field = small()
    model = RateModel(field, -4.0, -5.0)
    for key in ((0, 0), None):
        found, bits = model(dict(field.named_parameters()), key)
        model.zero_grad()
        field.zero_grad()
        (sum(one.square().sum() for one in found.values()) + bits).backward()
        assert all(one.grad.abs().sum() > 0 for one in field.parameters())
        assert model.log2_scale.grad.abs().sum() > 0
        # A rounded number knows steps that files have, which do not move.
        assert (model.log2_step.grad is None or not model.log2_step.grad.any()) == (key is None)


def test_the_derivative_by_a_step_is_that_of_the_noise() -> None:
    """d(v + u step)/d(log2 step) = u step ln 2, where bits play no part."""
    weights = nn.Linear(8, 1, bias=False)
    model = RateModel(weights, log2_weight_step=-2.0)
    found, _ = model(dict(weights.named_parameters()), (0, 0))
    found["weight"].sum().backward()
    noise = (found["weight"] - weights.weight).detach().sum()
    assert float(model.log2_step.grad) == pytest.approx(float(noise) * 0.6931472, rel=1e-4)
    assert torch.equal(nearest_step(model.log2_step), torch.tensor([-16]))
