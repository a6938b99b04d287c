"""Several ways to the same values: what `benchmarks/ideas.py` compares, on plain tensors of the networks' shapes.

Shape legend
    N       frames, those of a video side by side
    M       videos; N is a multiple of M
    I, O    input and output channels
    H, W    height and width
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from stylegan_v.ops.bias_act import bias_act
from stylegan_v.ops.modulated_conv import demodulation, per_image
from stylegan_v.ops.resample import fir_filter, upfirdn2d

_TAPS = (1 / 8, 3 / 8, 3 / 8, 1 / 8)


# Modulated convolution, demodulated.


def styled_kernels(weight: Float[Tensor, "O I 3 3"], styles: Float[Tensor, "M I"]) -> Float[Tensor, "M O I 3 3"]:
    """A kernel for each style (StyleGAN2, eqs. 1 and 3)."""
    scale = demodulation(weight, styles)
    return weight * (scale[:, :, None] * styles[:, None, :])[..., None, None]


def grouped_by_video(x: Tensor, weight: Tensor, styles: Tensor) -> Tensor:
    """Folded weights: the frames are the batch, the videos are the groups of one convolution."""
    kernels = rearrange(styled_kernels(weight, styles), "m o i p q -> (m o) i p q").to(x.dtype)
    x = rearrange(x, "(m t) i h w -> t (m i) h w", m=len(styles))
    x = F.conv2d(x, kernels, padding=1, groups=len(styles))
    return rearrange(x, "t (m o) h w -> (m t) o h w", m=len(styles))


def video_by_video(x: Tensor, weight: Tensor, styles: Tensor) -> Tensor:
    """Folded weights: a plain convolution for each video."""
    kernels = styled_kernels(weight, styles).to(x.dtype)
    return torch.cat([F.conv2d(part, k, padding=1) for part, k in zip(x.chunk(len(styles)), kernels, strict=True)])


def grouped_by_frame(x: Tensor, weight: Tensor, styles: Tensor) -> Tensor:
    """A kernel for each frame: the frames are the groups of one convolution."""
    return grouped_by_video(x, weight, per_image(styles, len(x)))


# Features to RGB, modulated and not demodulated.


def colours_of_scaled(x: Tensor, weight: Tensor, styles: Tensor) -> Tensor:
    """Scales the features, and convolves them with one kernel for all."""
    return F.conv2d(x * per_image(styles, len(x)).to(x.dtype)[:, :, None, None], weight.to(x.dtype))


def colours_by_matrices(x: Tensor, weight: Tensor, styles: Tensor) -> Tensor:
    """A matrix for each image, differentiated by autograd."""
    matrices = per_image(weight[:, :, 0, 0] * styles[:, None], len(x)).to(x.dtype)
    pixels = x.flatten(2).transpose(1, 2) @ matrices.transpose(1, 2)
    return rearrange(pixels, "n (h w) o -> n o h w", h=x.shape[2])


# FIR resampling: `up` is `resample.upsample2d`, `down` is `downsample2d`, `blur` is `blur2d` with padding 2.


def depthwise(x: Tensor, gain: float = 1.0) -> Float[Tensor, "I 1 4 4"]:
    """The filter for each channel."""
    return (fir_filter() * gain).to(device=x.device, dtype=x.dtype).expand(x.shape[1], 1, -1, -1)


def _lines(x: Tensor, gain: float = 1.0) -> tuple[Tensor, Tensor]:
    """The filter of one axis for each channel: down a column, and along a row."""
    taps = (torch.tensor(_TAPS) * gain).to(device=x.device, dtype=x.dtype)
    shape = (x.shape[1], 1, 4)
    return taps.expand(shape)[..., None], taps.expand(shape)[:, :, None]


def up_reference(x: Tensor) -> Tensor:
    """Inserts zeros and filters."""
    return upfirdn2d(x, fir_filter().to(x.device), up=2, padding=(2, 1, 2, 1), gain=4.0)


def up_depthwise(x: Tensor) -> Tensor:
    """One convolution, whose gradients are torch's."""
    return F.conv_transpose2d(x, depthwise(x, 4.0), stride=2, padding=1, groups=x.shape[1])


def up_separable(x: Tensor) -> Tensor:
    """One axis after the other."""
    column, row = _lines(x, 2.0)
    x = F.conv_transpose2d(x, column, stride=(2, 1), padding=(1, 0), groups=x.shape[1])
    return F.conv_transpose2d(x, row, stride=(1, 2), padding=(0, 1), groups=x.shape[1])


def _doubled(x: Tensor, axis: int) -> Tensor:
    """Twice as long along an axis: every pixel gives two, each with a quarter of its neighbour on that side."""
    length = x.shape[axis]
    pad = (0, 0, 1, 1) if axis == 2 else (1, 1, 0, 0)
    wide = F.pad(x * 0.25, pad)
    near = x * 0.75
    both = torch.stack([near + wide.narrow(axis, 0, length), near + wide.narrow(axis, 2, length)], dim=axis + 1)
    return both.flatten(axis, axis + 1)


def up_shifted_adds(x: Tensor) -> Tensor:
    """Sums of neighbours, one axis after the other."""
    return _doubled(_doubled(x, 2), 3)


def up_polyphase(x: Tensor) -> Tensor:
    """Each of the four phases of the result is a convolution of its own with 2 x 2 taps, in a window of 3 x 3."""
    lines = torch.tensor([[1.0, 3.0, 0.0], [0.0, 3.0, 1.0]], device=x.device) / 4
    kernel = torch.einsum("rp,sq->rspq", lines, lines).flatten(0, 1)[:, None].to(x.dtype)
    return F.pixel_shuffle(F.conv2d(x, kernel.repeat(x.shape[1], 1, 1, 1), padding=1, groups=x.shape[1]), 2)


def up_bilinear(x: Tensor) -> Tensor:
    """torch's bilinear interpolation has these very taps; zeros around stand for what lies outside."""
    x = F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=2, mode="bilinear", align_corners=False)
    return x[:, :, 2:-2, 2:-2]


def down_reference(x: Tensor) -> Tensor:
    """Filters everywhere and keeps a quarter."""
    return upfirdn2d(x, fir_filter().to(x.device), down=2, padding=(1, 1, 1, 1))


def down_depthwise(x: Tensor) -> Tensor:
    """One convolution, whose gradients are torch's."""
    return F.conv2d(x, depthwise(x), stride=2, padding=1, groups=x.shape[1])


def down_separable(x: Tensor) -> Tensor:
    """One axis after the other."""
    column, row = _lines(x)
    x = F.conv2d(x, column, stride=(2, 1), padding=(1, 0), groups=x.shape[1])
    return F.conv2d(x, row, stride=(1, 2), padding=(0, 1), groups=x.shape[1])


def _filtered(x: Tensor, axis: int, padding: int, stride: int) -> Tensor:
    """The filter along an axis as a sum of shifted copies."""
    x = F.pad(x, (0, 0, padding, padding) if axis == 2 else (padding, padding, 0, 0))
    last = x.shape[axis] - len(_TAPS) + 1
    shifted = [x[(..., slice(k, k + last, stride), *[slice(None)] * (3 - axis))] for k in range(len(_TAPS))]
    return torch.add(shifted[0] + shifted[3], shifted[1] + shifted[2], alpha=3) * _TAPS[0]


def down_shifted_adds(x: Tensor) -> Tensor:
    """Sums of neighbours, one axis after the other."""
    return _filtered(_filtered(x, 2, 1, 2), 3, 1, 2)


def down_polyphase(x: Tensor) -> Tensor:
    """The four phases of the image are channels of one convolution with 3 x 3 taps."""
    line = torch.tensor([[0.0, 3.0, 1.0], [1.0, 3.0, 0.0]], device=x.device) / 8
    kernel = torch.einsum("rp,sq->rspq", line, line).flatten(0, 1)[None].to(x.dtype)
    return F.conv2d(F.pixel_unshuffle(x, 2), kernel.repeat(x.shape[1], 1, 1, 1), padding=1, groups=x.shape[1])


def blur_reference(x: Tensor) -> Tensor:
    """Pads and filters."""
    return upfirdn2d(x, fir_filter().to(x.device), padding=(2, 2, 2, 2))


def blur_depthwise(x: Tensor) -> Tensor:
    """One convolution, whose gradients are torch's."""
    return F.conv2d(x, depthwise(x), padding=2, groups=x.shape[1])


def blur_separable(x: Tensor) -> Tensor:
    """One axis after the other."""
    column, row = _lines(x)
    x = F.conv2d(x, column, padding=(2, 0), groups=x.shape[1])
    return F.conv2d(x, row, padding=(0, 2), groups=x.shape[1])


def blur_shifted_adds(x: Tensor) -> Tensor:
    """Sums of neighbours, one axis after the other."""
    return _filtered(_filtered(x, 2, 2, 1), 3, 2, 1)


# Filter and convolution of 3 x 3 as one: doubling (the kernel as stored, not flipped) and halving (a correlation).


def composed(weight: Float[Tensor, "O I 3 3"], gain: float) -> Float[Tensor, "O I 6 6"]:
    """Filter and kernel as one kernel."""
    flat = rearrange(weight, "o i p q -> (o i) 1 p q")
    whole = F.conv_transpose2d(flat, (fir_filter() * gain).to(weight)[None, None])
    return rearrange(whole, "(o i) 1 p q -> o i p q", o=len(weight))


def up_conv_composed(x: Tensor, weight: Tensor) -> Tensor:
    """A transposed convolution with all 36 taps."""
    kernel = composed(weight, 4.0).to(x.dtype)
    return F.conv_transpose2d(x, kernel.transpose(0, 1), stride=2, padding=2)


def up_conv_phases(x: Tensor, weight: Tensor) -> Tensor:
    """Each of the four phases of the result is a convolution of the small image with 3 x 3 of the 6 x 6 taps."""
    kernel = rearrange(composed(weight, 4.0), "o i (p r) (q s) -> (o r s) i p q", r=2, s=2)
    return F.pixel_shuffle(F.conv2d(x, kernel.flip(2, 3).to(x.dtype), padding=1), 2)


def down_conv_composed(x: Tensor, weight: Tensor) -> Tensor:
    """A convolution of stride 2 with all 36 taps."""
    return F.conv2d(x, composed(weight, 1.0).to(x.dtype), stride=2, padding=2)


# The end of a layer: scale, bias, leaky ReLU, gain, clamp.


def separate(x: Tensor, scale: Tensor, bias: Tensor, *, clamp: float) -> Tensor:
    """One operation after the other."""
    return bias_act(x * scale.to(x.dtype)[:, :, None, None], bias, act="lrelu", clamp=clamp)


def addcmul(x: Tensor, scale: Tensor, bias: Tensor, *, clamp: float) -> Tensor:
    """Scale and bias in one pass, the gain in one of its own."""
    x = torch.addcmul(bias.to(x.dtype)[:, None, None], x, scale.to(x.dtype)[:, :, None, None])
    return (F.leaky_relu(x, 0.2) * math.sqrt(2)).clamp(-clamp, clamp)


def _scaled(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    gain = math.sqrt(2)
    return torch.addcmul((bias * gain).to(x.dtype)[:, None, None], x, (scale * gain).to(x.dtype)[:, :, None, None])


def addcmul_with_gain(x: Tensor, scale: Tensor, bias: Tensor, *, clamp: float) -> Tensor:
    """The gain on the small operands; autograd keeps what comes of every operation."""
    return F.leaky_relu(_scaled(x, scale, bias), 0.2).clamp(-clamp, clamp)


def in_place(x: Tensor, scale: Tensor, bias: Tensor, *, clamp: float) -> Tensor:
    """The same; the activation overwrites its argument."""
    return F.leaky_relu_(_scaled(x, scale, bias), 0.2).clamp(-clamp, clamp)


def hardtanh(x: Tensor, scale: Tensor, bias: Tensor, *, clamp: float) -> Tensor:
    """The same; the clamp is the operation whose derivative is one pass."""
    return F.hardtanh(F.leaky_relu(_scaled(x, scale, bias), 0.2), -clamp, clamp)


# The averaged generator.


@torch.no_grad()
def average_one_by_one(average: nn.Module, current: nn.Module, beta: float) -> None:
    """An interpolation for each parameter."""
    for mean, value in zip(average.parameters(), current.parameters(), strict=True):
        mean.lerp_(value, 1 - beta)


@torch.no_grad()
def average_in_two(average: nn.Module, current: nn.Module, beta: float) -> None:
    """Product and sum, each in lists."""
    means = list(average.parameters())
    torch._foreach_mul_(means, beta)
    torch._foreach_add_(means, list(current.parameters()), alpha=1 - beta)
