"""Synthesis network: styles and a time embedding to frames (StyleGAN2's skip generator; StyleGAN-V, section 3.2).

Shape legend
    B, T    videos and frames of a video; N = B * T frames folded into the batch
    M       style vectors: B where styles belong to a video, N where time enters them
    L, D    layers that take a style, and the dimension of one
    V       dimension of the time embedding
    I, O    input and output channels
    H, W    height and width
    Y, X    height and width of a window
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int64, Real
from torch import Tensor, nn

from errors import InputError
from stylegan_v.networks.decoder import Canvas, Decoder, DecoderInputs
from stylegan_v.networks.geometry import Level, center_crop, levels
from stylegan_v.networks.layers import EqualizedLinear, Modulation, StyledConv
from stylegan_v.networks.motion_interface import Motion
from stylegan_v.networks.temporal_modulation import ModulationBasis, TemporalModulation
from stylegan_v.networks.view import View, views_of
from stylegan_v.noise import GlobalRandom, RandomSource
from stylegan_v.ops.modulated_conv import modulated_conv2d
from stylegan_v.ops.resample import upsample2d

TimeConditioning = Literal["concat_const", "concat_w", "sum_w"]
NoiseMode = Literal["random", "const", "none"]


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to RGB, not demodulated.

    Args:
        in_channels: I.
        style_dim: D.
        conv_clamp: Largest absolute value of the output; None leaves it free.
    """

    def __init__(self, in_channels: int, style_dim: int, *, conv_clamp: float | None = None) -> None:
        super().__init__()
        self.affine = EqualizedLinear(style_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(3, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.style_gain = 1 / math.sqrt(in_channels)
        self.conv_clamp = conv_clamp

    def forward(self, x: Float[Tensor, "N I H W"], w: Float[Tensor, "M D"]) -> Float[Tensor, "N 3 H W"]:
        styles = self.affine(w) * self.style_gain
        rgb = modulated_conv2d(x, self.weight, styles, demodulate=False).float() + self.bias[:, None, None]
        return rgb if self.conv_clamp is None else rgb.clamp(-self.conv_clamp, self.conv_clamp)


class SynthesisBlock(nn.Module):
    """One resolution: an upsampling convolution (not in the first block), a convolution, and its part of the RGB sum.

    Args:
        in_channels: Channels of the features that come in.
        level: Size and channels of this block.
        style_dim: D.
        first: Whether this is the block after the constant.
        conv_clamp: Largest absolute value of features; None leaves them free.
        noise_inputs: Whether noise is added to the features.
    """

    def __init__(
        self,
        in_channels: int,
        level: Level,
        style_dim: int,
        *,
        first: bool = False,
        conv_clamp: float | None = None,
        noise_inputs: bool = False,
    ) -> None:
        super().__init__()
        noise_size = (level.height, level.width) if noise_inputs else None
        settings = {"conv_clamp": conv_clamp, "noise_size": noise_size}
        convs = [] if first else [StyledConv(in_channels, level.channels, style_dim, up=2, **settings)]
        convs.append(StyledConv(in_channels if first else level.channels, level.channels, style_dim, **settings))
        self.convs = nn.ModuleList(convs)
        self.torgb = ToRGB(level.channels, style_dim, conv_clamp=conv_clamp)

    def forward(
        self,
        x: Float[Tensor, "N I h w"],
        rgb: Float[Tensor, "N 3 h w"] | None,
        ws: Float[Tensor, "M l D"],
        noises: list[Tensor | None],
        modulations: list[Modulation | None],
    ) -> tuple[Float[Tensor, "N O H W"], Float[Tensor, "N 3 H W"]]:
        for i, (conv, noise, modulation) in enumerate(zip(self.convs, noises, modulations, strict=True)):
            x = conv(x, ws[:, i], noise, modulation)
        own = self.torgb(x, ws[:, len(self.convs)])
        return x, own if rgb is None else upsample2d(rgb) + own


class SynthesisNetwork(nn.Module):
    """Styles [B, L, D] and times [B, T] to frames.

    Args:
        resolution: (H, W) of the frames.
        w_dim: D.
        motion: Motion noise to a time embedding.
        time_conditioning: Where the embedding enters: joined to the constant input, joined to every style, or added
            to every style.
        motion_input: Whether the embedding is joined to the constant; None where ``time_conditioning`` says so.
        channel_base: Channels at r are ``min(channel_base // r, channel_max)``.
        channel_max: See ``channel_base``.
        conv_clamp: Largest absolute value of features; None leaves them free.
        noise_inputs: Whether noise is added to the features.
        temporal_modulation: What scales and shifts the features of all convolutions in time; None is nothing.
    """

    def __init__(
        self,
        resolution: tuple[int, int],
        w_dim: int,
        motion: Motion,
        *,
        time_conditioning: TimeConditioning = "concat_const",
        motion_input: bool | None = None,
        channel_base: int = 16384,
        channel_max: int = 512,
        conv_clamp: float | None = 256.0,
        noise_inputs: bool = False,
        temporal_modulation: TemporalModulation | None = None,
    ) -> None:
        super().__init__()
        if time_conditioning not in get_args(TimeConditioning):
            raise ValueError(f"time_conditioning {time_conditioning!r}: choose from {get_args(TimeConditioning)}")
        if time_conditioning == "sum_w" and motion.out_dim != w_dim:
            raise ValueError(
                f"time_conditioning sum_w needs an embedding of w_dim {w_dim}, motion gives {motion.out_dim}"
            )
        self.resolution, self.time_conditioning = resolution, time_conditioning
        self.motion = motion
        self.motion_input = time_conditioning == "concat_const" if motion_input is None else motion_input
        self.levels = levels(resolution, channel_base, channel_max)
        base = self.levels[0]
        self.const = nn.Parameter(torch.randn(1, base.channels, base.height, base.width))

        style_dim = w_dim + (motion.out_dim if time_conditioning == "concat_w" else 0)
        in_channels = base.channels + (motion.out_dim if self.motion_input else 0)
        self.blocks = nn.ModuleDict()
        for level in self.levels:
            self.blocks[f"b{level.name}"] = SynthesisBlock(
                in_channels,
                level,
                style_dim,
                first=level is base,
                conv_clamp=conv_clamp,
                noise_inputs=noise_inputs,
            )
            in_channels = level.channels
        self.num_ws = 2 * len(self.levels)
        self.style_dim, self.decoder, self.tapped = style_dim, None, ""
        self.temporal_modulation, self.modulation_bases = temporal_modulation, None
        if temporal_modulation is not None:
            temporal_modulation.join(w_dim, motion)
            self.modulation_bases = nn.ModuleDict(
                {
                    name: nn.ModuleList(ModulationBasis(temporal_modulation.rank, len(c.weight)) for c in block.convs)
                    for name, block in self.blocks.items()
                }
            )

    def add_decoder(self, make: Callable[[DecoderInputs], Decoder]) -> None:
        """Lets frames be drawn at any size, by a decoder that starts without effect.

        Args:
            make: Sizes of this network to the decoder; where that does without the last block, the block goes.

        Raises:
            InputError: There is no resolution below that of the frames.
        """
        if len(self.levels) < 2:
            raise InputError(f"decoder: resolution {self.resolution}: give at least 8 pixels a side")
        below = self.levels[-2]
        self.tapped = f"b{below.name}"  # whose features the decoder reads
        size = (below.height, below.width)
        self.decoder = make(DecoderInputs(below.channels, size, self.resolution, self.style_dim, self.motion.out_dim))
        if self.decoder.mode == "replace_last_block":
            for blocks in filter(None, (self.blocks, self.modulation_bases)):
                del blocks[f"b{self.levels[-1].name}"]

    def forward(
        self,
        ws: Float[Tensor, "B L D"],
        t: Real[Tensor, "B T"],
        c: Float[Tensor, "B C"] | None = None,
        motion_z: Float[Tensor, "_ K Z"] | None = None,
        *,
        first_code: int | Int64[Tensor, " B"] = 0,
        noise_mode: NoiseMode | None = None,
        random: RandomSource | None = None,
        size: Sequence | None = None,
        window: Sequence | None = None,
        shift: Sequence | None = None,
    ) -> Float[Tensor, "B T 3 Y X"]:
        """Frames, nominally in [-1, 1].

        Args:
            ws: Styles.
            t: Frame times, frames.
            c: Labels.
            motion_z: Motion noise; drawn when None.
            first_code: Number of the code that ``motion_z[:, 0]`` is.
            noise_mode: Of the noise inputs; None is "random" in training mode and "const" otherwise.
            random: Where random noise inputs come from; None is torch's global generator.
            size: Height and width of whole frames in pixels, for all videos or a list of one for each; None is native.
                Other than native sizes, windows and shifts need a decoder.
            window: (y0, x0, y1, x1) in whole pixels of these frames, half open, for all videos or a list of one for
                each, all of one shape; None is the whole frame.
            shift: By how many of these pixels (y, x) the places asked for are moved, for all videos or a list of one
                for each; None is not at all.
        """
        motion_v = self.motion(t, c, motion_z, first_code=first_code)
        where = {"size": size, "window": window, "shift": shift}
        return self.frames(ws, motion_v, noise_mode=noise_mode, random=random, **where)

    def frames(
        self,
        ws: Float[Tensor, "B L D"],
        motion_v: Float[Tensor, "B T V"],
        *,
        noise_mode: NoiseMode | None = None,
        random: RandomSource | None = None,
        size: Sequence | None = None,
        window: Sequence | None = None,
        shift: Sequence | None = None,
    ) -> Float[Tensor, "B T 3 Y X"]:
        """Frames of given time embeddings, and what follows them; arguments as `forward`."""
        views = views_of(self.resolution, len(motion_v), size, window, shift)
        drawn = self.draw(ws, motion_v, noise_mode=noise_mode, random=random)
        frames = drawn.look_each(views) if isinstance(drawn, Canvas) else self._native(drawn, views)
        return rearrange(frames, "(b t) c h w -> b t c h w", b=len(motion_v))

    def draw(
        self,
        ws: Float[Tensor, "B L D"],
        motion_v: Float[Tensor, "B T V"],
        *,
        noise_mode: NoiseMode | None = None,
        random: RandomSource | None = None,
    ) -> Float[Tensor, "N 3 H W"] | Canvas:
        """Frames, folded; with a decoder, what it looks at. Arguments as `forward`."""
        noise_mode = noise_mode or ("random" if self.training else "const")
        random = random or GlobalRandom(len(motion_v), motion_v.device)
        noises = {
            name: [
                self._noise(f"{name}/{i}", conv, motion_v.shape, noise_mode, random)
                for i, conv in enumerate(block.convs)
            ]
            for name, block in self.blocks.items()
        }
        rgb, features, style = self.backbone(ws, motion_v, noises)
        if self.decoder is None:
            return rgb
        return self.decoder(features, rgb, style, rearrange(motion_v[:, :, : self.motion.out_dim], "b t v -> (b t) v"))

    def backbone(
        self, ws: Float[Tensor, "B L D"], motion_v: Float[Tensor, "B T VA"], noises: dict[str, list[Tensor | None]]
    ) -> tuple[Float[Tensor, "N 3 H W"], Tensor | None, Float[Tensor, "M E"]]:
        """All blocks, a function of its arguments alone: it draws nothing and asks nothing of its values.

        Args:
            ws: Styles.
            motion_v: Time embeddings, and what follows them.
            noises: Of the convolutions, by blocks; see `_noise`.

        Returns:
            Frames; the features that the decoder reads, if there is one; and the last style, which it takes.
        """
        modulations, motion_v = self._modulations(ws, motion_v)
        x, ws = self._enter(ws, motion_v)

        # Each block takes its convolutions' styles and shares the next one with the block after it.
        rgb, features, taken = None, None, 0
        for name, block in self.blocks.items():
            x, rgb = block(x, rgb, ws[:, taken : taken + len(block.convs) + 1], noises[name], modulations[name])
            features = x if name == self.tapped else features
            taken += len(block.convs)
        return center_crop(rgb, self.resolution) if self.decoder is None else rgb, features, ws[:, -1]

    def run_folded(self, run: Callable[[Tensor], Any], motion_v: Float[Tensor, "N V"]) -> Any:
        """Runs this network folded for one video (`folding`); a method of its own, so that it can be compiled."""
        return run(motion_v)

    def _native(self, frames: Float[Tensor, "N 3 H W"], views: list[View]) -> Float[Tensor, "N 3 H W"]:
        if not all(view.native(self.resolution) for view in views):
            raise InputError("size, window: this generator has no decoder: give one that has, or leave them out")
        return frames

    def _modulations(
        self, ws: Float[Tensor, "B L D"], motion_v: Float[Tensor, "B T VA"]
    ) -> tuple[dict[str, list[Modulation | None]], Float[Tensor, "B T V"]]:
        """What modulates each convolution, by blocks, out of what follows the embeddings; and these alone.

        Where layers have styles of several videos, it is the first one that moves them.
        """
        if self.temporal_modulation is None:
            return {name: [None] * len(block.convs) for name, block in self.blocks.items()}, motion_v
        out_dim = self.motion.out_dim
        values = self.temporal_modulation(ws[:, 0], motion_v[:, :, out_dim:])
        bases = self.modulation_bases.items()
        return {name: [basis(values) for basis in block] for name, block in bases}, motion_v[:, :, :out_dim]

    def _enter(self, ws: Tensor, motion_v: Float[Tensor, "B T V"]) -> tuple[Float[Tensor, "N I h w"], Tensor]:
        """The input of the first block, and the styles, with the time embedding where it belongs."""
        num_frames = motion_v.shape[1]
        motion_v = rearrange(motion_v, "b t v -> (b t) v")
        x = self.const.expand(len(motion_v), -1, -1, -1)
        if self.motion_input:
            x = torch.cat([x, repeat(motion_v, "n v -> n v h w", h=x.shape[2], w=x.shape[3])], dim=1)
        if self.time_conditioning == "concat_w":
            ws = repeat(ws, "b l d -> (b t) l d", t=num_frames)
            ws = torch.cat([ws, repeat(motion_v, "n v -> n l v", l=ws.shape[1])], dim=2)
        elif self.time_conditioning == "sum_w":
            ws = repeat(ws, "b l d -> (b t) l d", t=num_frames) + motion_v.unsqueeze(1)
        # oneDNN and cuDNN convolve fastest with the channels last; the layout spreads from here.
        return x.contiguous(memory_format=torch.channels_last), ws

    def _noise(
        self, name: str, conv: StyledConv, frames: torch.Size, mode: NoiseMode, random: RandomSource
    ) -> Tensor | None:
        """The noise input of a layer, [h, w] or [N, 1, h, w]; None where there is none."""
        if conv.noise_size is None or mode == "none":
            return None
        if mode == "const":
            return conv.noise_const
        return rearrange(random.normal(f"noise/{name}", frames[1], *conv.noise_size), "b t h w -> (b t) 1 h w")
