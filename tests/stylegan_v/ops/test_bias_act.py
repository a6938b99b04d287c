"""Bias, activation, gain and clamp: closed forms, and the fast leaky ReLU against the general one."""

from __future__ import annotations

import math

import pytest
import torch

from stylegan_v.ops.bias_act import bias_act, scaled_lrelu


def test_order_is_bias_activation_gain_clamp() -> None:
    x = torch.tensor([[-3.0, 1.0]])
    y = bias_act(x, torch.tensor([1.0, 1.0]), act="lrelu", gain=10.0, clamp=15.0)
    torch.testing.assert_close(y, torch.tensor([[-4.0, 15.0]]))  # 10 * 0.2 * -2; 10 * 2 clamped


@pytest.mark.parametrize(("act", "gain"), [("linear", 1), ("lrelu", math.sqrt(2)), ("relu", math.sqrt(2)), ("tanh", 1)])
def test_default_gains(act: str, gain: float) -> None:
    expected = gain * (math.tanh(0.7) if act == "tanh" else 0.7)
    assert bias_act(torch.tensor([[0.7]]), act=act).item() == pytest.approx(expected)


def test_the_fast_leaky_relu_equals_the_general_form_with_derivatives() -> None:
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    scale = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(3, dtype=torch.float64, requires_grad=True)
    fast = scaled_lrelu(x, scale, bias, gain=0.5, clamp=0.8)
    plain = bias_act(x * scale[:, :, None, None], bias, act="lrelu", gain=math.sqrt(2) * 0.5, clamp=0.8)
    torch.testing.assert_close(fast, plain)
    for ours, wanted in zip(
        torch.autograd.grad((fast**3).sum(), (x, scale, bias), create_graph=True),
        torch.autograd.grad((plain**3).sum(), (x, scale, bias), create_graph=True),
        strict=True,
    ):
        torch.testing.assert_close(ours, wanted)
        torch.testing.assert_close(
            torch.autograd.grad((ours**2).sum(), x, retain_graph=True),
            torch.autograd.grad((wanted**2).sum(), x, retain_graph=True),
        )


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(KeyError):
        bias_act(torch.zeros(1, 1), act="gelu")
