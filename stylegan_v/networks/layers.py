"""Layers with an equalised learning rate: unit-variance parameters scaled at run time (Karras et al. 2018, 4.1).

Shape legend
    N       rows, or images with the frames of all clips folded in
    I, O    input and output features or channels
    H, W    height and width
    L       length of a sequence
    M, D    style vectors and their dimension; N is a multiple of M: neighbouring images share a style
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from stylegan_v.ops.bias_act import bias_act, scaled_lrelu
from stylegan_v.ops.modulated_conv import conv2d_resample, demodulation, per_image

Modulation = tuple[Tensor, Tensor]  # scales and shifts of features, [N, C] each


def normalize_second_moment(x: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
    """Rows scaled to a mean square of one."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def minibatch_std(
    x: Float[Tensor, "N C H W"], group_size: int | None, num_channels: int = 1
) -> Float[Tensor, "N c H W"]:
    """``x`` with the standard deviation over groups of images appended as channels (Karras et al. 2018, section 3).

    Image n belongs to group n mod (N / group_size), so a batch dealt out round robin keeps its groups.

    Args:
        x: Features.
        group_size: Images in a group, at most N; None takes them all.
        num_channels: Number of appended channels, each the mean over its share of the features.

    Raises:
        ValueError: If N is not a multiple of the group size.
    """
    size = len(x) if group_size is None else min(group_size, len(x))
    if len(x) % size:
        raise ValueError(f"minibatch standard deviation: {len(x)} images do not divide into groups of {size}")
    groups = rearrange(x.float(), "(g m) (f c) h w -> g m f c h w", g=size, f=num_channels)
    std = (groups.var(dim=0, unbiased=False) + 1e-8).sqrt()
    std = std.mean(dim=(2, 3, 4))  # [m, f]
    std = repeat(std, "m f -> (g m) f h w", g=size, h=x.shape[2], w=x.shape[3])
    return torch.cat([x, std.to(x.dtype)], dim=1)


class EqualizedLinear(nn.Module):
    """Fully connected layer with run-time weight scale ``lr_multiplier / sqrt(in)``.

    Args:
        in_features: Number of input features.
        out_features: Number of output features.
        bias: Whether there is a bias.
        act: "linear" or "lrelu" (with gain sqrt 2).
        lr_multiplier: Learning rate of this layer relative to the others; small ones start from larger parameters.
        bias_init: Stored initial bias, before the learning-rate multiplier.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        act: str = "linear",
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), float(bias_init))) if bias else None
        self.act = act
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x: Float[Tensor, "N I"]) -> Float[Tensor, "N O"]:
        weight = (self.weight * self.weight_gain).to(x.dtype)
        bias = None if self.bias is None else (self.bias * self.bias_gain).to(x.dtype)
        if self.act == "linear":
            return F.linear(x, weight, bias)
        return bias_act(F.linear(x, weight), bias, act=self.act)


class EqualizedConv1d(nn.Module):
    """1D convolution without padding; its leaky ReLU has no gain, unlike every other layer's (StyleGAN-V).

    Args:
        in_channels: Number of input channels.
        out_channels: Number of output channels.
        kernel_size: Taps.
        act: "linear" or "lrelu".
        lr_multiplier: As in `EqualizedLinear`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, act: str = "lrelu", lr_multiplier: float = 0.01
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size) / lr_multiplier)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.act = act
        self.weight_gain = lr_multiplier / math.sqrt(in_channels * kernel_size)
        self.bias_gain = lr_multiplier

    def forward(self, x: Float[Tensor, "N I L"]) -> Float[Tensor, "N O l"]:
        x = F.conv1d(x, (self.weight * self.weight_gain).to(x.dtype))
        return bias_act(x, self.bias * self.bias_gain, act=self.act, gain=1.0)


class EqualizedConv2d(nn.Module):
    """Convolution of the discriminator, optionally halving the size.

    Args:
        in_channels: Number of input channels.
        out_channels: Number of output channels.
        kernel_size: 1 or 3.
        bias: Whether there is a bias.
        act: "linear" or "lrelu".
        down: 1, or 2 to halve the size.
        gain: Extra factor on the output; the clamp moves with it.
        conv_clamp: Largest absolute value of the output at gain 1; None leaves it free.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        bias: bool = True,
        act: str = "lrelu",
        down: int = 1,
        gain: float = 1.0,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.weight_gain = 1 / math.sqrt(in_channels * kernel_size**2)
        self.act, self.down, self.gain = act, down, gain
        self.conv_clamp = None if conv_clamp is None else conv_clamp * gain

    def forward(self, x: Float[Tensor, "N I H W"]) -> Float[Tensor, "N O h w"]:
        # The gain of a linear layer is folded into its weights, that of a leaky ReLU into its small operands.
        folded = self.gain if self.act == "linear" and self.bias is None else 1.0
        x = conv2d_resample(x, (self.weight * (self.weight_gain * folded)).to(x.dtype), down=self.down)
        if self.act == "lrelu" and self.bias is not None:
            return scaled_lrelu(x, None, self.bias, gain=self.gain, clamp=self.conv_clamp)
        return bias_act(x, self.bias, act=self.act, gain=self.gain / folded, clamp=self.conv_clamp)


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, demodulated, with optional noise, bias and leaky ReLU.

    Args:
        in_channels: I.
        out_channels: O.
        style_dim: D.
        up: 1, or 2 to double the size.
        conv_clamp: Largest absolute value of the output; None leaves it free.
        noise_size: (H, W) of the output where noise is added; None adds none.
    """

    noise_const: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        style_dim: int,
        *,
        up: int = 1,
        conv_clamp: float | None = None,
        noise_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.affine = EqualizedLinear(style_dim, in_channels, bias_init=1.0)
        # No fan-in gain: demodulation makes the scale of the kernel irrelevant.
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.up, self.conv_clamp, self.noise_size = up, conv_clamp, noise_size
        if noise_size is not None:
            self.register_buffer("noise_const", torch.randn(*noise_size))
            self.noise_strength = nn.Parameter(torch.zeros(()))

    def forward(
        self,
        x: Float[Tensor, "N I H W"],
        w: Float[Tensor, "M D"],
        noise: Tensor | None = None,
        modulation: Modulation | None = None,
    ) -> Float[Tensor, "N O h w"]:
        """Features of the next layer.

        Args:
            x: Features.
            w: Styles.
            noise: Added before the bias, in proportion to its strength.
            modulation: Scales and shifts of the demodulated features, before the noise.
        """
        styles = self.affine(w)
        scale = demodulation(self.weight, styles)

        # Modulate, convolve.
        x = x * per_image(styles, len(x)).to(x.dtype)[:, :, None, None]
        x = conv2d_resample(x, self.weight.to(x.dtype), up=self.up)

        # Demodulate, add noise, bias and activation.
        scale, bias = per_image(scale, len(x)), self.bias
        if modulation is not None:
            gamma, beta = modulation
            scale, bias = scale * gamma, bias + beta
        if noise is not None:
            x = torch.addcmul((noise * self.noise_strength).to(x.dtype), x, scale.to(x.dtype)[:, :, None, None])
            scale = None
        return scaled_lrelu(x, scale, bias, clamp=self.conv_clamp)
