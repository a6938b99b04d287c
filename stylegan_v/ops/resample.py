"""FIR resampling with the low-pass filter [1, 3, 3, 1]: insert zeros, pad, filter, decimate (StyleGAN2).

`upfirdn2d` is the readable reference. The networks use `upsample2d`, `downsample2d` and `blur2d`, which do the same for
the [1, 3, 3, 1] filter as one depthwise convolution or its adjoint. Autograd's own double backward of a depthwise
convolution runs channel by channel; here each map's gradient is the other map, so every order is as fast as the first.

Shape legend
    N, C    images and channels
    H, W    height and width
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx

_TAPS = (1.0, 3.0, 3.0, 1.0)


def fir_filter(taps: tuple[float, ...] = _TAPS) -> Float[Tensor, "n n"]:
    """The normalised 2D filter of 1D ``taps``: their outer product over the square of their sum."""
    taps_1d = torch.tensor(taps, dtype=torch.float32)
    return torch.outer(taps_1d, taps_1d) / taps_1d.sum() ** 2


def upfirdn2d(
    x: Float[Tensor, "N C H W"],
    kernel: Float[Tensor, "..."],
    *,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    gain: float = 1.0,
    flip: bool = False,
) -> Float[Tensor, "N C h w"]:
    """The readable reference: every resampling of the networks and of the augmentation can be written as one call.

    Inserts ``up - 1`` zeros after each pixel (after the last one too), pads or crops, convolves with ``kernel * gain``
    and keeps every ``down``-th pixel starting with the first.

    Args:
        x: Images.
        kernel: 2D filter [h, w], or 1D filter [n] applied along both axes.
        up: Factor of the zero insertion.
        down: Factor of the decimation.
        padding: Pixels added left, right, top, bottom; negative values crop.
        gain: Factor on the output.
        flip: Correlate instead of convolve.
    """
    if kernel.ndim == 1:
        kernel = torch.outer(kernel, kernel)
    num_images, channels, height, width = x.shape

    # Insert zeros.
    if up > 1:
        x = x.reshape(num_images, channels, height, 1, width, 1)
        x = F.pad(x, (0, up - 1, 0, 0, 0, up - 1))
        x = x.reshape(num_images, channels, height * up, width * up)

    # Pad or crop, filter, decimate.
    x = F.pad(x, padding)
    kernel = (kernel * gain).to(x.dtype)
    kernel = kernel if flip else kernel.flip((0, 1))
    x = F.conv2d(x, kernel.expand(channels, 1, -1, -1), groups=channels)
    return x[:, :, ::down, ::down]


def upsample2d(x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
    """Twice the size: ``upfirdn2d`` with up 2, padding (2, 1, 2, 1), gain 4."""
    size = (2 * x.shape[2], 2 * x.shape[3])
    return _Spread.apply(x, 4.0, 2, 1, size)


def downsample2d(x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
    """Half the size: ``upfirdn2d`` with down 2, padding 1 on all sides."""
    return _Gather.apply(x, 1.0, 2, 1)


def blur2d(x: Float[Tensor, "N C H W"], padding: int, gain: float = 1.0) -> Float[Tensor, "N C h w"]:
    """The same size less 3 plus twice ``padding``: ``upfirdn2d`` with that padding on all sides."""
    return _Gather.apply(x, gain, 1, padding)


def _depthwise(x: Tensor, gain: float) -> Tensor:
    """The filter times ``gain``, once per channel, [C, 1, 4, 4]; symmetric, so convolving and correlating agree."""
    kernel = (fir_filter() * gain).to(device=x.device, dtype=x.dtype, non_blocking=True)
    return kernel.expand(x.shape[1], 1, -1, -1)


class _Gather(torch.autograd.Function):
    """Filters and decimates; the adjoint of `_Spread`."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, gain: float, stride: int, padding: int) -> Tensor:
        ctx.settings = gain, stride, padding, tuple(x.shape[2:])
        return F.conv2d(x, _depthwise(x, gain), stride=stride, padding=padding, groups=x.shape[1])

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None, None, None]:
        return _Spread.apply(grad, *ctx.settings), None, None, None


class _Spread(torch.autograd.Function):
    """Inserts zeros and filters, cropping to ``size``; the adjoint of `_Gather`."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, gain: float, stride: int, padding: int, size: tuple[int, int]) -> Tensor:
        ctx.settings = gain, stride, padding
        least = [(n - 1) * stride - 2 * padding + len(_TAPS) for n in x.shape[2:]]
        remainder = [full - n for full, n in zip(size, least, strict=True)]
        kernel = _depthwise(x, gain)
        return F.conv_transpose2d(
            x, kernel, stride=stride, padding=padding, output_padding=remainder, groups=x.shape[1]
        )

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        return _Gather.apply(grad, *ctx.settings), None, None, None, None
