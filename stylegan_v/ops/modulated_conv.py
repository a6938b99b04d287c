"""Modulated convolution (StyleGAN2, Karras et al. 2020, eqs. 1-3) and convolution with 2x resampling.

Shape legend
    N       images
    M       style vectors; N is a multiple of M and neighbouring images share one (frames of a video)
    I, O    input and output channels
    H, W    height and width
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx

from stylegan_v.ops.resample import blur2d, downsample2d, upsample2d

_EPSILON = 1e-8


def conv2d_resample(
    x: Float[Tensor, "N I H W"], weight: Float[Tensor, "O I k k"], *, up: int = 1, down: int = 1
) -> Float[Tensor, "N O h w"]:
    """Convolution that keeps, doubles or halves the size, low-pass filtered against aliasing; k is 1 or 3.

    Without resampling, and when halving, it is a correlation, as in torch. Doubling convolves with the kernel as
    stored (not flipped): a transposed convolution of stride 2, then the filter.
    """
    pad = weight.shape[2] // 2
    if up == 2:
        if pad == 0:
            return upsample2d(F.conv2d(x, weight))
        x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        return blur2d(x, padding=1, gain=4.0)
    if down == 2:
        if pad == 0:
            return F.conv2d(downsample2d(x), weight)
        return F.conv2d(blur2d(x, padding=2), weight, stride=2)
    return F.conv2d(x, weight, padding=pad)


def demodulation(weight: Float[Tensor, "O I k k"], styles: Float[Tensor, "M I"]) -> Float[Tensor, "M O"]:
    """What brings each output channel back to unit variance: one over the norm of the modulated kernel (eq. 3)."""
    energy = weight.square().sum(dim=(2, 3))  # [O, I]
    return torch.rsqrt(styles.square() @ energy.t() + _EPSILON)


def per_image(values: Float[Tensor, "M ..."], num_images: int) -> Float[Tensor, "N ..."]:
    """Values of a video for each of its frames."""
    if len(values) == num_images:
        return values
    return repeat(values, "m ... -> (m t) ...", t=num_images // len(values))


def mix_channels(x: Float[Tensor, "N I H W"], matrices: Float[Tensor, "N O I"]) -> Float[Tensor, "N O H W"]:
    """Each pixel's channels times the matrix of its image; the result has its channels last."""
    kind = x.device.type
    if torch.is_autocast_enabled(kind):  # here, where autograd sees it: the backward pass may run outside of it
        x, matrices = (operand.to(torch.get_autocast_dtype(kind)) for operand in (x, matrices))
    pixels = _Mix.apply(x.flatten(2).transpose(1, 2), matrices)
    return rearrange(pixels, "n (h w) o -> n o h w", h=x.shape[2])


class _Mix(torch.autograd.Function):
    """Rows times a transposed matrix; the gradient of the matrix as the product that is six times faster on a CPU.

    Autograd multiplies the transposed rows by the gradient, and transposes what comes of that.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, rows: Tensor, matrices: Tensor) -> Tensor:
        ctx.save_for_backward(rows, matrices)
        return rows @ matrices.transpose(1, 2)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        rows, matrices = ctx.saved_tensors
        to_rows, to_matrices = ctx.needs_input_grad
        return grad @ matrices if to_rows else None, grad.transpose(1, 2) @ rows if to_matrices else None


def modulated_conv2d(
    x: Float[Tensor, "N I H W"],
    weight: Float[Tensor, "O I k k"],
    styles: Float[Tensor, "M I"],
    *,
    up: int = 1,
    demodulate: bool = True,
) -> Float[Tensor, "N O h w"]:
    """The form used everywhere: scale the input by the styles, convolve with shared weights, scale the output.

    The same result as one kernel per image (`modulated_conv2d_per_image`), with one plain convolution for all images.
    A kernel of one pixel is a matrix for each image instead, which spares two copies of the features.

    Args:
        x: Images.
        weight: Kernels, k = 1 or 3.
        styles: Scales of the input channels.
        up: 1, or 2 to double the size.
        demodulate: Whether each output channel is brought back to unit variance.
    """
    if weight.shape[2] == 1 and up == 1:
        matrices = weight[:, :, 0, 0] * styles[:, None]
        if demodulate:
            matrices = matrices * demodulation(weight, styles)[:, :, None]
        return mix_channels(x, per_image(matrices, len(x)).to(x.dtype))
    x = x * per_image(styles, len(x)).to(x.dtype)[:, :, None, None]
    x = conv2d_resample(x, weight.to(x.dtype), up=up)
    if demodulate:
        x = x * per_image(demodulation(weight, styles), len(x)).to(x.dtype)[:, :, None, None]
    return x


def modulated_conv2d_per_image(
    x: Float[Tensor, "N I H W"],
    weight: Float[Tensor, "O I k k"],
    styles: Float[Tensor, "M I"],
    *,
    up: int = 1,
    demodulate: bool = True,
) -> Float[Tensor, "N O h w"]:
    """The readable reference: the paper's equations with one kernel per image. Arguments as `modulated_conv2d`."""
    kernels = weight * per_image(styles, len(x))[:, None, :, None, None]  # eq. 1, [N, O, I, k, k]
    if demodulate:
        kernels = kernels * torch.rsqrt(kernels.square().sum(dim=(2, 3, 4), keepdim=True) + _EPSILON)  # eq. 3
    images = [
        conv2d_resample(image, kernel, up=up)
        for image, kernel in zip(rearrange(x, "n i h w -> n 1 i h w"), kernels, strict=True)
    ]
    return torch.cat(images)
