"""Bias, activation, gain, clamp: the end of every layer (StyleGAN2, Karras et al. 2020).

Shape legend
    N, C    rows (or images) and channels
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.overrides import has_torch_function

_SQRT2 = math.sqrt(2)
_SLOPE = 0.2  # of the leaky ReLU, below 0

# Name -> (function, default gain). The gains keep unit variance roughly unchanged.
_ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "linear": (lambda x: x, 1.0),
    "lrelu": (lambda x: F.leaky_relu(x, _SLOPE), _SQRT2),
    "relu": (torch.relu, _SQRT2),
    "swish": (F.silu, _SQRT2),
    "tanh": (torch.tanh, 1.0),
    "sigmoid": (torch.sigmoid, 1.0),
    "elu": (F.elu, 1.0),
    "selu": (F.selu, 1.0),
    "softplus": (F.softplus, 1.0),
}


def bias_act(
    x: Float[Tensor, "N C ..."],
    bias: Float[Tensor, " C"] | None = None,
    *,
    act: str = "linear",
    gain: float | None = None,
    clamp: float | None = None,
) -> Float[Tensor, "N C ..."]:
    """``clamp(gain * act(x + bias))``, in that order.

    Args:
        x: Features; axis 1 holds the channels.
        bias: One value per channel.
        act: linear, lrelu (slope 0.2), relu, swish, tanh, sigmoid, elu, selu or softplus.
        gain: Factor after the activation; None takes the activation's default.
        clamp: Largest absolute value of the result; None leaves it free.
    """
    function, default_gain = _ACTIVATIONS[act]
    gain = default_gain if gain is None else gain
    if bias is not None:
        x = x + bias.to(x.dtype).view(-1, *[1] * (x.ndim - 2))
    x = function(x)
    if gain != 1:
        x = x * gain
    return x if clamp is None else x.clamp(-clamp, clamp)


def scaled_lrelu(
    x: Float[Tensor, "N C H W"],
    scale: Float[Tensor, "N C"] | None,
    bias: Float[Tensor, "*N C"],
    *,
    gain: float = 1.0,
    clamp: float | None = None,
) -> Float[Tensor, "N C H W"]:
    """Fast form of ``bias_act(x * scale, bias, act="lrelu", gain=sqrt(2) * gain, clamp=clamp)``.

    A leaky ReLU commutes with positive factors, so the gain moves onto the small operands. The large one is read once
    for scale and bias; activation and clamp overwrite what comes of that, and its slopes are told by the result. The
    bias may be that of each image. Forward-mode derivatives and torch.func are for `bias_act`.

    Args:
        x: Features.
        scale: Factors before the bias, positive or not; None is 1.
        bias: [C], or [N, C].
        gain: Factor beside sqrt(2); positive.
        clamp: Largest absolute value of the result; None leaves it free.
    """
    gain = gain * _SQRT2
    bias = (bias * gain).to(x.dtype)[..., None, None]
    scale = gain if scale is None else (scale * gain).to(x.dtype)[:, :, None, None]
    if torch.compiler.is_compiling() or has_torch_function((x,)):  # these want to see each call
        x = F.leaky_relu(_affine(x, scale, bias), _SLOPE)
        return x if clamp is None else x.clamp(-clamp, clamp)
    if isinstance(scale, Tensor):
        return _Scaled.apply(x, scale, bias, clamp)
    return _Amplified.apply(x, scale, bias, clamp)


class _Scaled(torch.autograd.Function):
    """``clamp(lrelu(x * scale + bias))``, which keeps its input and its result and nothing between."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, scale: Tensor, bias: Tensor, clamp: float | None) -> Tensor:
        y = _activate_(_affine(x, scale, bias), clamp)
        ctx.save_for_backward(x, scale, y)
        ctx.clamp, ctx.bias_shape = clamp, bias.shape
        return y

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, scale, y = ctx.saved_tensors
        grad = _Slopes.apply(grad, y, ctx.clamp)
        to_x, to_scale, to_bias, _ = ctx.needs_input_grad
        return (
            grad * scale if to_x else None,
            (grad * x).sum_to_size(scale.shape) if to_scale else None,
            grad.sum_to_size(ctx.bias_shape) if to_bias else None,
            None,
        )


class _Amplified(torch.autograd.Function):
    """The same with one factor for all, which is no tensor: only the result is kept."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, gain: float, bias: Tensor, clamp: float | None) -> Tensor:
        y = _activate_(_affine(x, gain, bias), clamp)
        ctx.save_for_backward(y)
        ctx.gain, ctx.clamp, ctx.bias_shape = gain, clamp, bias.shape
        return y

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None, None]:
        (y,) = ctx.saved_tensors
        grad = _Slopes.apply(grad, y, ctx.clamp)
        to_x, _, to_bias, _ = ctx.needs_input_grad
        return (
            grad * ctx.gain if to_x else None,
            None,
            grad.sum_to_size(ctx.bias_shape) if to_bias else None,
            None,
        )


class _Slopes(torch.autograd.Function):
    """A gradient times the slopes that led to a result; their own derivative is 0, so this is its own adjoint."""

    @staticmethod
    def forward(ctx: FunctionCtx, grad: Tensor, y: Tensor, clamp: float | None) -> Tensor:
        ctx.save_for_backward(y)
        ctx.clamp = clamp
        if clamp is None:
            return torch.ops.aten.leaky_relu_backward(grad, y, _SLOPE, True)
        end = torch.tensor(clamp, dtype=y.dtype).item()  # as a clamped value has it
        grad = torch.ops.aten.hardtanh_backward(grad, y, -end, end)
        return torch.ops.aten.leaky_relu_backward.grad_input(grad, y, _SLOPE, True, grad_input=grad)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None, None]:
        (y,) = ctx.saved_tensors
        return _Slopes.apply(grad, y, ctx.clamp), None, None


def _affine(x: Tensor, scale: Tensor | float, bias: Tensor) -> Tensor:
    """``x * scale + bias`` in one pass."""
    return torch.addcmul(bias, x, scale) if isinstance(scale, Tensor) else torch.add(bias, x, alpha=scale)


def _activate_(x: Tensor, clamp: float | None) -> Tensor:
    x = F.leaky_relu_(x, _SLOPE)
    return x if clamp is None else x.clamp_(-clamp, clamp)
