"""The discriminator: a few frames of a clip, with their times, to one logit (StyleGAN-V, section 3.3).

Shape legend
    B, T    clips and frames of a clip
    N       frames of all clips (B * T); clips (B) once their frames are joined
    C       dimension of the label
    A       facts of a view
    D       dimension of the condition h
    I, O    input and output channels
    H, W    height and width
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Real
from torch import Tensor, nn

from stylegan_v.networks.conditioning import Conditioning, HypernetworkConditioning
from stylegan_v.networks.geometry import frame_size, levels
from stylegan_v.networks.layers import EqualizedConv2d, EqualizedLinear, minibatch_std

_HALF = math.sqrt(0.5)  # of each branch of a residual block, so that their sum keeps its variance


class DiscriminatorBlock(nn.Module):
    """Residual block that halves the size (StyleGAN2, figure 7c).

    Args:
        in_channels: I.
        channels: Channels of the first convolution.
        out_channels: O.
        conditioning: Makes the first convolution.
        conv_clamp: Largest absolute value of features; None leaves them free.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        out_channels: int,
        conditioning: Conditioning,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.conv0 = conditioning.make_conv(in_channels, channels, conv_clamp)
        self.conv1 = EqualizedConv2d(channels, out_channels, 3, down=2, gain=_HALF, conv_clamp=conv_clamp)
        self.skip = EqualizedConv2d(in_channels, out_channels, 1, bias=False, act="linear", down=2, gain=_HALF)

    def forward(self, x: Float[Tensor, "N I H W"], h: Float[Tensor, "B D"] | None) -> Float[Tensor, "N O h w"]:
        return self.skip(x) + self.conv1(self.conv0(x, h))


class Epilogue(nn.Module):
    """Features of a clip to a vector: minibatch standard deviation, a convolution, a fully connected layer.

    Args:
        in_channels: I.
        channels: O, also the length of the vector.
        size: (H, W) of the features.
        mbstd_group_size: Clips in a group of the minibatch standard deviation.
        conv_clamp: Largest absolute value of features; None leaves them free.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        size: tuple[int, int],
        mbstd_group_size: int | None,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.mbstd_group_size = mbstd_group_size
        self.conv = EqualizedConv2d(in_channels + 1, channels, 3, conv_clamp=conv_clamp)
        self.fc = EqualizedLinear(channels * size[0] * size[1], channels, act="lrelu")

    def forward(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O"]:
        x = self.conv(minibatch_std(x, self.mbstd_group_size))
        return self.fc(rearrange(x, "b o h w -> b (o h w)"))


class Discriminator(nn.Module):
    """Clips with their times to logits.

    Args:
        resolution: Side of a square frame, or (height, width).
        conditioning: How times and labels enter; None builds a `HypernetworkConditioning` with its defaults.
        channel_base: Channels at resolution r are ``min(channel_base // r, channel_max)``.
        channel_max: See ``channel_base``.
        conv_clamp: Largest absolute value of features; None leaves them free.
        mbstd_group_size: Clips in a group of the minibatch standard deviation; None takes the whole batch.
        concat_res: Resolution at which the frames of a clip are joined along the channels, below the frame's own.
        num_frames_div_factor: Divides the channels of a frame where frames are joined.
    """

    def __init__(
        self,
        resolution: int | tuple[int, int] = 256,
        *,
        conditioning: Conditioning | None = None,
        channel_base: int = 16384,
        channel_max: int = 512,
        conv_clamp: float | None = 256.0,
        mbstd_group_size: int | None = 4,
        concat_res: int = 16,
        num_frames_div_factor: int = 2,
    ) -> None:
        super().__init__()
        self.resolution = frame_size(resolution)
        self.conditioning = HypernetworkConditioning() if conditioning is None else conditioning
        self.num_frames, self.c_dim = self.conditioning.num_frames, self.conditioning.c_dim
        self.mbstd_group_size = mbstd_group_size
        self.levels = levels(self.resolution, channel_base, channel_max)[::-1]  # from the frame's size down
        top, base = self.levels[0], self.levels[-1]
        # Frames so wide that even the base is larger than concat_res are joined at the base.
        self.join_at = max(concat_res, base.name)
        if self.join_at not in [level.name for level in self.levels[1:]]:
            names = [level.name for level in self.levels[1:]]
            raise ValueError(f"concat_res {concat_res}: at this resolution frames can be joined at {names}")

        self.fromrgb = EqualizedConv2d(3, top.channels, 1, conv_clamp=conv_clamp)
        self.blocks = nn.ModuleDict()
        in_channels = top.channels
        for level, below in pairwise(self.levels):
            joined_next = below.name == self.join_at
            out_channels = below.channels // num_frames_div_factor if joined_next else below.channels
            block = DiscriminatorBlock(in_channels, level.channels, out_channels, self.conditioning, conv_clamp)
            self.blocks[f"b{level.name}"] = block
            in_channels = out_channels * self.num_frames if joined_next else out_channels
        self.epilogue = Epilogue(in_channels, base.channels, (base.height, base.width), mbstd_group_size, conv_clamp)
        self.head = self.conditioning.make_head(base.channels)

    def forward(
        self,
        clip: Float[Tensor, "B T 3 H W"],
        t: Real[Tensor, "B T"],
        c: Float[Tensor, "B C"] | None = None,
        view: Float[Tensor, "B A"] | None = None,
    ) -> Float[Tensor, " B"]:
        """Logits, one per clip.

        Args:
            clip: Frames, nominally in [-1, 1].
            t: Frame times, frames; only their differences matter.
            c: Labels.
            view: What is known of scale and part of the frame, where the conditioning takes it; None: native, whole.
        """
        if clip.shape[1] != self.num_frames:
            raise ValueError(f"the discriminator takes clips of {self.num_frames} frames, not {clip.shape[1]}")
        h = self.conditioning(t, c, view)

        # Frames alone, then joined.
        x = self.fromrgb(self._pad(rearrange(clip, "b t c h w -> (b t) c h w")))
        for name, block in self.blocks.items():
            if name == f"b{self.join_at}":
                x = self._join(x)
            x = block(x, h)
        if self.join_at == self.levels[-1].name:
            x = self._join(x)

        with torch.autocast(x.device.type, enabled=False):
            return self.head(self.epilogue(x.float()), h, c)

    def freeze_layers(self, count: int) -> None:
        """Turns the parameters of the first ``count`` layers into buffers of the same names (Mo et al. 2020, freeze-D).

        Layers count from the frame's size down: fromRGB, then conv0, conv1 and skip of each block.
        """
        layers = [self.fromrgb] + [part for b in self.blocks.values() for part in (b.conv0, b.conv1, b.skip)]
        if not 0 <= count <= len(layers):
            raise ValueError(f"freeze_d {count}: of this discriminator 0 to {len(layers)} layers can be frozen")
        for layer in layers[:count]:
            for module in layer.modules():
                for name, parameter in list(module.named_parameters(recurse=False)):
                    delattr(module, name)
                    module.register_buffer(name, parameter.detach())

    def _pad(self, x: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N 3 h w"]:
        """The frame in the middle of the working size, its border reflected; channels last, as convolutions like it."""
        bottom, right = self.levels[0].height - x.shape[2], self.levels[0].width - x.shape[3]
        if bottom or right:
            top, left = bottom // 2, right // 2
            x = F.pad(x, (left, right - left, top, bottom - top), mode="reflect")
        return x.contiguous(memory_format=torch.channels_last)

    def _join(self, x: Float[Tensor, "N I H W"]) -> Float[Tensor, "B J H W"]:
        return rearrange(x, "(b t) i h w -> b (t i) h w", t=self.num_frames)
