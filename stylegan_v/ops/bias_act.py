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

_SQRT2 = math.sqrt(2)

# Name -> (function, default gain). The gains keep unit variance roughly unchanged.
_ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "linear": (lambda x: x, 1.0),
    "lrelu": (lambda x: F.leaky_relu(x, 0.2), _SQRT2),
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

    A leaky ReLU commutes with positive factors, so the gain moves onto the small operands and the large one is read
    once for scale and bias, once for the activation and once for the clamp. The bias may be that of each image.
    """
    gain = gain * _SQRT2
    bias = (bias * gain).to(x.dtype)[..., None, None]
    scale = gain if scale is None else (scale * gain).to(x.dtype)[:, :, None, None]
    x = F.leaky_relu(torch.addcmul(bias, x, scale) if isinstance(scale, Tensor) else x * scale + bias, 0.2)
    return x if clamp is None else x.clamp(-clamp, clamp)
