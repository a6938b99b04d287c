"""Bias, activation, gain and clamp: closed forms, and the fast leaky ReLU against the general one."""

from __future__ import annotations

import math

import pytest
import torch

from stylegan_v.ops.bias_act import bias_act, scaled_lrelu
from stylegan_v.ops.kinks import Kinks


def test_order_is_bias_activation_gain_clamp() -> None:
    x = torch.tensor([[-3.0, 1.0]])
    y = bias_act(x, torch.tensor([1.0, 1.0]), act="lrelu", gain=10.0, clamp=15.0)
    torch.testing.assert_close(y, torch.tensor([[-4.0, 15.0]]))  # 10 * 0.2 * -2; 10 * 2 clamped


@pytest.mark.parametrize(("act", "gain"), [("linear", 1), ("lrelu", math.sqrt(2)), ("relu", math.sqrt(2)), ("tanh", 1)])
def test_default_gains(act: str, gain: float) -> None:
    expected = gain * (math.tanh(0.7) if act == "tanh" else 0.7)
    assert bias_act(torch.tensor([[0.7]]), act=act).item() == pytest.approx(expected)


@pytest.mark.parametrize("clamp", [0.8, None])
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("bias_shape", [(3,), (2, 3)])
def test_the_fast_leaky_relu_equals_the_general_form_with_derivatives(
    bias_shape: tuple[int, ...], scaled: bool, clamp: float | None
) -> None:
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    scale = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(bias_shape, dtype=torch.float64, requires_grad=True)
    inputs = (x, scale, bias) if scaled else (x, bias)
    fast = scaled_lrelu(x, scale if scaled else None, bias, gain=0.5, clamp=clamp)
    scaled_x = x * scale[:, :, None, None] if scaled else x
    biased = scaled_x + (bias if bias.ndim == 2 else bias[None])[:, :, None, None]
    plain = bias_act(biased, act="lrelu", gain=math.sqrt(2) * 0.5, clamp=clamp)
    torch.testing.assert_close(fast, plain)
    for ours, wanted in zip(
        torch.autograd.grad((fast**3).sum(), inputs, create_graph=True),
        torch.autograd.grad((plain**3).sum(), inputs, create_graph=True),
        strict=True,
    ):
        torch.testing.assert_close(ours, wanted)
        torch.testing.assert_close(
            torch.autograd.grad((ours**2).sum(), inputs, retain_graph=True),
            torch.autograd.grad((wanted**2).sum(), inputs, retain_graph=True),
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_gradient_passes_where_the_fast_leaky_relu_clamps(dtype: torch.dtype) -> None:
    clamp = 181.02  # that bfloat16 has no such number must not open the clamp
    x = torch.tensor([-2000.0, -1.0, 1.0, 100.0, 200.0], dtype=dtype).view(1, 1, 1, -1).requires_grad_()
    y = scaled_lrelu(x, None, torch.zeros(1, dtype=dtype), clamp=clamp)
    (grad,) = torch.autograd.grad(y.sum(), x)
    slopes = torch.tensor([0.0, 0.2 * math.sqrt(2), math.sqrt(2), math.sqrt(2), 0.0], dtype=dtype)
    torch.testing.assert_close(grad.flatten(), slopes)
    assert y.abs().max() == torch.tensor(clamp, dtype=dtype)


def test_the_fast_leaky_relu_keeps_its_input_and_its_result_for_the_gradient() -> None:
    kept: set[int] = set()
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.add(t.data_ptr()) or t, lambda t: t):
        y = scaled_lrelu(x, torch.rand(2, 3, requires_grad=True), torch.zeros(3, requires_grad=True), clamp=1.0)
    large = {x.data_ptr(), y.data_ptr()}
    assert large < kept and len(kept) == 3  # the third is the scale


def test_other_modes_see_the_activation_and_the_clamp() -> None:
    x, bias = torch.randn(2, 3, 4, 4), torch.randn(3)
    kinks = Kinks()
    with kinks.recorded():
        seen = scaled_lrelu(x, None, bias, clamp=1.0)
    assert [piece.dtype for piece in kinks.pieces] == [torch.bool, torch.int8]
    torch.testing.assert_close(scaled_lrelu(x, None, bias, clamp=1.0), seen)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(KeyError):
        bias_act(torch.zeros(1, 1), act="gelu")
