"""The generator as a graph: any number of videos and frames, every input a tensor, nothing drawn and nothing kept.

The networks' own `forward` counts videos with `len`, which would write the numbers of one example into the graph, and
chooses its way by them. Here the same layers are called with sizes that stay open. That both draw the same frames is
checked with every file that is written.

Shape legend
    B, T    videos and frames of a video; N = B * T frames folded together
    M       style vectors: B where styles belong to a video, N where time enters them
    L, D    layers that take a style, and the dimension of one
    K, Z    motion noise codes of a window in time, and the dimension of one; also of the content noise
    C       dimension of the label
    V       values of the embedding of a frame
    I, O    input and output channels
    H, W    height and width
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float, Float32, Float64, Int64
from torch import SymInt, Tensor, nn

from errors import InputError
from stylegan_v.exporting.plain_motion import plain_motion
from stylegan_v.networks import Generator
from stylegan_v.networks.geometry import center_crop
from stylegan_v.networks.layers import StyledConv
from stylegan_v.networks.synthesis import SynthesisNetwork, ToRGB
from stylegan_v.ops.bias_act import scaled_lrelu
from stylegan_v.ops.modulated_conv import conv2d_resample, demodulation
from stylegan_v.ops.resample import upsample2d
from stylegan_v.rendering import draw_latents

Size = int | SymInt


def _per_frame(values: Float[Tensor, "M I"], frames_each: Size) -> Float[Tensor, "N I 1 1"]:
    """Values of style vectors for each of their frames, to multiply features with."""
    return repeat(values, "m i -> (m t) i 1 1", t=frames_each)


def styled_conv(
    conv: StyledConv, x: Float[Tensor, "N I H W"], w: Float[Tensor, "M D"], frames_each: Size
) -> Float[Tensor, "N O h w"]:
    """`StyledConv.forward` with constant noise, where ``frames_each`` frames share a style."""
    styles = conv.affine(w)
    x = conv2d_resample(x * _per_frame(styles, frames_each), conv.weight, up=conv.up)
    x = x * _per_frame(demodulation(conv.weight, styles), frames_each)
    if conv.noise_size is not None:
        x = x + conv.noise_const * conv.noise_strength
    return scaled_lrelu(x, None, conv.bias, clamp=conv.conv_clamp)


def to_rgb(
    layer: ToRGB, x: Float[Tensor, "N I H W"], w: Float[Tensor, "M D"], frames_each: Size
) -> Float[Tensor, "N 3 H W"]:
    """`ToRGB.forward`, where ``frames_each`` frames share a style."""
    styles = layer.affine(w) * layer.style_gain
    rgb = F.conv2d(x * _per_frame(styles, frames_each), layer.weight, layer.bias)
    return rgb if layer.conv_clamp is None else rgb.clamp(-layer.conv_clamp, layer.conv_clamp)


class PlainStyles(nn.Module):
    """Content noise to styles, truncated towards the mean style, of the label where there are labels.

    Args:
        generator: Whose mapping network it is.
    """

    mean_w: Tensor

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.mapping, self.num_ws = generator.mapping, generator.num_ws
        # Wholly truncated styles are the means, one for each class.
        classes = torch.eye(generator.c_dim, device=generator.mapping.w_avg.device) if generator.c_dim else None
        means = draw_latents(generator, 0, range(max(1, generator.c_dim)), c=classes, truncation_psi=0.0)
        self.register_buffer("mean_w", means.ws[:, 0].clone())

    def forward(
        self, z: Float32[Tensor, "B Z"], truncation_psi: Float32[Tensor, " B"], c: Float32[Tensor, "B C"] | None = None
    ) -> Float32[Tensor, "B L D"]:
        mean_w = self.mean_w if c is None else c @ self.mean_w
        w = torch.lerp(mean_w, self.mapping.style(z, c), rearrange(truncation_psi, "b -> b 1"))
        return repeat(w, "b d -> b l d", l=self.num_ws)


class PlainSynthesis(nn.Module):
    """Styles, motion noise of a window in time and times within it to frames.

    Args:
        synthesis: The network.

    Raises:
        InputError: There is none for its kind.
    """

    def __init__(self, synthesis: SynthesisNetwork) -> None:
        super().__init__()
        if synthesis.temporal_modulation is not None:
            raise InputError("ckpt: its temporal_modulation cannot be exported: give a model without it")
        if synthesis.decoder is not None:
            raise InputError("ckpt: its decoder cannot be exported: give a model without one")
        self.motion = plain_motion(synthesis.motion)
        self.const, self.blocks, self.resolution = synthesis.const, synthesis.blocks, synthesis.resolution
        self.motion_input = synthesis.motion_input and self.motion is not None
        self.time_conditioning = synthesis.time_conditioning

    def forward(
        self,
        ws: Float32[Tensor, "B L D"],
        t: Float64[Tensor, "B T"],
        motion_z: Float32[Tensor, "B K Z"] | None = None,
        first_code: Int64[Tensor, " B"] | None = None,
        c: Float32[Tensor, "B C"] | None = None,
    ) -> Float32[Tensor, "B T 3 H W"]:
        num_videos, num_frames = t.shape
        motion_v = None
        if self.motion is not None:
            motion_v = rearrange(self.motion(t, motion_z, first_code, c), "b t v -> (b t) v")
        x, ws, frames_each = self._enter(ws, motion_v, num_videos, num_frames)

        # Each block takes its convolutions' styles and shares the next one with the block after it.
        rgb, taken = None, 0
        for block in self.blocks.values():
            for conv in block.convs:
                x = styled_conv(conv, x, ws[:, taken], frames_each)
                taken += 1
            own = to_rgb(block.torgb, x, ws[:, taken], frames_each)
            rgb = own if rgb is None else upsample2d(rgb) + own
        return rearrange(center_crop(rgb, self.resolution), "(b t) c h w -> b t c h w", b=num_videos)

    def _enter(
        self, ws: Float[Tensor, "B L D"], motion_v: Float[Tensor, "N V"] | None, num_videos: Size, num_frames: Size
    ) -> tuple[Float[Tensor, "N I h w"], Float[Tensor, "M L d"], Size]:
        """The input of the first block, the styles, and how many frames share one."""
        x = self.const.expand(num_videos * num_frames, -1, -1, -1)
        if self.motion_input:
            x = torch.cat([x, repeat(motion_v, "n v -> n v h w", h=x.shape[2], w=x.shape[3])], dim=1)
        x = x.contiguous(memory_format=torch.channels_last)
        if motion_v is None or self.time_conditioning == "concat_const":
            return x, ws, num_frames
        ws = repeat(ws, "b l d -> (b t) l d", t=num_frames)
        if self.time_conditioning == "sum_w":
            return x, ws + motion_v.unsqueeze(1), 1
        return x, torch.cat([ws, repeat(motion_v, "n v -> n l v", l=ws.shape[1])], dim=2), 1


class PlainGenerator(nn.Module):
    """Content noise, motion noise of a window in time and times within it to frames.

    Args:
        generator: The network.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.styles, self.synthesis = PlainStyles(generator), PlainSynthesis(generator.synthesis)

    def forward(
        self,
        z: Float32[Tensor, "B Z"],
        t: Float64[Tensor, "B T"],
        truncation_psi: Float32[Tensor, " B"],
        motion_z: Float32[Tensor, "B K _"] | None = None,
        first_code: Int64[Tensor, " B"] | None = None,
        c: Float32[Tensor, "B C"] | None = None,
    ) -> Float32[Tensor, "B T 3 H W"]:
        return self.synthesis(self.styles(z, truncation_psi, c), t, motion_z, first_code, c)
