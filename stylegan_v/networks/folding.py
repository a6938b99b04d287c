"""The synthesis network of one video, with all that depends on the video alone computed once.

Styles belong to a video. So the kernels of its layers are modulated, demodulated and scaled once ("folded"), and all
its frames go through plain convolutions. `SynthesisNetwork` is the readable reference: frames differ by rounding only.

Shape legend
    T       frames
    L, D    layers that take a style, and the dimension of one
    V       dimension of the time embedding
    I, O    input and output channels
    H, W    height and width
    Y, X    height and width of a window
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from stylegan_v.compiling import Compiled
from stylegan_v.networks.decoder import Canvas
from stylegan_v.networks.geometry import center_crop
from stylegan_v.networks.layers import StyledConv
from stylegan_v.networks.synthesis import NoiseMode, SynthesisNetwork, ToRGB
from stylegan_v.networks.view import View
from stylegan_v.ops.modulated_conv import demodulation
from stylegan_v.ops.resample import fir_filter, upsample2d

# A leaky ReLU commutes with positive factors: its gain moves onto kernel, bias and noise.
_GAIN = math.sqrt(2)
# Features up to this size stay in the cache of a CPU, and their memory is used again where that of larger ones is given
# back to the system, to be cleared by it before the next layer has it: the fastest of 4 MiB to no limit, from 64 to 256
# px. A GPU, where this was not measured, takes all frames at once.
_CPU_FEATURE_BYTES = 16 * 2**20
State = tuple[Tensor, Tensor | None, Tensor | None, Tensor]


def styled_kernel(conv: StyledConv, w: Float[Tensor, " D"]) -> Float[Tensor, "O I 3 3"]:
    """The kernel under one style: modulated, demodulated (StyleGAN2, eqs. 1 and 3), times the activation's gain."""
    styles = conv.affine(w.unsqueeze(0))
    scale = demodulation(conv.weight, styles) * _GAIN
    return conv.weight * (scale.t() * styles)[:, :, None, None]


def activate(x: Float[Tensor, "T O H W"], clamp: float | None) -> Float[Tensor, "T O H W"]:
    """The end of a layer whose gain is folded already; overwrites ``x``."""
    x = F.leaky_relu_(x, 0.2)
    return x if clamp is None else x.clamp_(-clamp, clamp)


class FoldedNoise:
    """The noise input of a layer, scaled.

    Args:
        conv: The layer; it may have none.
        mode: "const" is the same in all frames, "random" another in each.
        dtype: Of the features.
    """

    def __init__(self, conv: StyledConv, mode: NoiseMode, dtype: torch.dtype) -> None:
        self.const = self.strength = None
        if conv.noise_size is not None and mode != "none":
            self.strength, self.size = (conv.noise_strength * _GAIN).to(dtype), conv.noise_size
        if self.strength is not None and mode == "const":
            self.const = conv.noise_const.to(dtype) * self.strength

    def add_to(self, x: Float[Tensor, "T O H W"]) -> Float[Tensor, "T O H W"]:
        """``x`` with noise; overwrites it."""
        if self.const is not None:
            return x.add_(self.const)
        if self.strength is not None:
            noise = torch.randn(len(x), 1, *self.size, device=x.device, dtype=x.dtype)
            return x.addcmul_(noise, self.strength)
        return x


class FoldedEntry:
    """The first layer: of its inputs, the constant is convolved once; a time embedding is the same everywhere.

    Convolved with zeros around, such an input gives nine different values (corners, edges, inside), whatever the size.

    Args:
        conv: The layer.
        const: The constant, its first inputs; the embedding is what remains, which may be nothing.
        w: Its style.
        noise_mode: Of its noise input, where it has one.
        dtype: Of the features.
    """

    def __init__(self, conv: StyledConv, const: Tensor, w: Tensor, noise_mode: NoiseMode, dtype: torch.dtype) -> None:
        still, moving = styled_kernel(conv, w).tensor_split([const.shape[1]], dim=1)
        self.still = F.conv2d(const, still, conv.bias * _GAIN, padding=1).to(dtype)
        self.moving = moving.to(dtype, memory_format=torch.channels_last)
        # Which of three rows (columns) stands for each: the first, the last, or the one between them.
        self.rows, self.columns = (
            torch.tensor([0, *[1] * (size - 2), 2]).to(const.device, non_blocking=True) for size in const.shape[2:]
        )
        self.noise, self.clamp = FoldedNoise(conv, noise_mode, dtype), conv.conv_clamp

    def __call__(self, motion_v: Float[Tensor, "T V"]) -> Float[Tensor, "T O h w"]:
        x = self.still.expand(len(motion_v), -1, -1, -1)
        if self.moving.shape[1]:
            nine = F.conv2d(repeat(motion_v.to(self.moving), "t v -> t v 3 3"), self.moving, padding=1)
            x = x + nine[:, :, self.rows[:, None], self.columns]
        x = x.clone(memory_format=torch.channels_last)
        return activate(self.noise.add_to(x), self.clamp)


class FoldedConv:
    """A `StyledConv` under one style: a plain convolution, noise, bias and leaky ReLU.

    Args:
        conv: The layer.
        w: Its style.
        noise_mode: Of its noise input, where it has one.
        dtype: Of the features.
    """

    def __init__(self, conv: StyledConv, w: Tensor, noise_mode: NoiseMode, dtype: torch.dtype) -> None:
        kernel = styled_kernel(conv, w)
        if conv.up == 2:
            kernel = kernel.transpose(0, 1)
            self.blur = (fir_filter() * 4).to(kernel.device, dtype, non_blocking=True).repeat(len(conv.weight), 1, 1, 1)
        self.kernel = kernel.to(dtype, memory_format=torch.channels_last)
        self.bias = (conv.bias * _GAIN).to(dtype)
        self.noise, self.up, self.clamp = FoldedNoise(conv, noise_mode, dtype), conv.up, conv.conv_clamp

    def __call__(self, x: Float[Tensor, "T I h w"]) -> Float[Tensor, "T O H W"]:
        if self.up == 2:
            # One kernel for both has four times the multiplications.
            x = F.conv_transpose2d(x, self.kernel, stride=2)
            x = F.conv2d(x, self.blur, self.bias, padding=1, groups=len(self.bias))
        else:
            x = F.conv2d(x, self.kernel, self.bias, padding=1)
        return activate(self.noise.add_to(x), self.clamp)


class FoldedToRGB:
    """A `ToRGB` under one style.

    Args:
        torgb: The layer.
        w: Its style.
        dtype: Of the features.
    """

    def __init__(self, torgb: ToRGB, w: Tensor, dtype: torch.dtype) -> None:
        styles = torgb.affine(w.unsqueeze(0)) * torgb.style_gain
        self.kernel = (torgb.weight * styles[:, :, None, None]).to(dtype)
        self.bias, self.clamp = torgb.bias[:, None, None].clone(), torgb.conv_clamp

    def __call__(self, x: Float[Tensor, "T I H W"]) -> Float[Tensor, "T 3 H W"]:
        rgb = F.conv2d(x, self.kernel).to(self.bias.dtype).add_(self.bias)
        return rgb if self.clamp is None else rgb.clamp_(-self.clamp, self.clamp)


class FoldedBlock:
    """A `SynthesisBlock` under the styles of one video.

    Args:
        convs: Those of its convolutions that have features as their input.
        torgb: Its RGB layer.
        ws: Their styles.
        noise_mode: Of the noise inputs.
        dtype: Of the features.
    """

    def __init__(
        self, convs: list[StyledConv], torgb: ToRGB, ws: Tensor, noise_mode: NoiseMode, dtype: torch.dtype
    ) -> None:
        self.convs = [FoldedConv(conv, w, noise_mode, dtype) for conv, w in zip(convs, ws[:-1], strict=True)]
        self.torgb = FoldedToRGB(torgb, ws[-1], dtype)

    def __call__(
        self, x: Float[Tensor, "T I h w"], rgb: Float[Tensor, "T 3 h w"] | None
    ) -> tuple[Float[Tensor, "T O H W"], Float[Tensor, "T 3 H W"]]:
        for conv in self.convs:
            x = conv(x)
        own = self.torgb(x)
        return x, own if rgb is None else upsample2d(rgb).add_(own)


def can_fold(synthesis: SynthesisNetwork) -> bool:
    """Whether layers belong to the video; where time enters styles or scales features, every frame has its own."""
    return synthesis.time_conditioning == "concat_const" and synthesis.temporal_modulation is None


class FoldedSynthesis:
    """The synthesis network of one video: time embeddings to frames.

    A copy, without gradients: it does not follow the weights of the network. Under autocast features have its type,
    while folding and the sum of RGB images keep theirs.

    Args:
        synthesis: The network.
        ws: Styles of the video.
        noise_mode: Of the noise inputs.

    Raises:
        ValueError: It cannot be folded, see `can_fold`.
    """

    @torch.no_grad()
    def __init__(self, synthesis: SynthesisNetwork, ws: Float[Tensor, "L D"], noise_mode: NoiseMode = "const") -> None:
        if not can_fold(synthesis):
            why = f"time_conditioning {synthesis.time_conditioning}"
            if synthesis.temporal_modulation is not None:
                why = "temporal_modulation"
            raise ValueError(f"{why} gives every frame kernels of its own")
        device, dtype = ws.device.type, synthesis.const.dtype
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
        with torch.autocast(device, enabled=False):
            ws = ws.to(synthesis.const)
            (first, *convs), *others = (list(block.convs) for block in synthesis.blocks.values())
            self.entry = FoldedEntry(first, synthesis.const, ws[0], noise_mode, dtype)
            # Each block shares its last style with the block after it.
            self.blocks, taken = [], 1
            for block, own in zip(synthesis.blocks.values(), [convs, *others], strict=True):
                styles = ws[taken : taken + len(own) + 1]
                self.blocks.append(FoldedBlock(own, block.torgb, styles, noise_mode, dtype))
                taken += len(own)
        self.decoder, self.style = synthesis.decoder, ws[-1:]
        self.tapped = list(synthesis.blocks).index(synthesis.tapped) if self.decoder is not None else None
        self.device, self.resolution = device, synthesis.resolution
        limit = _CPU_FEATURE_BYTES if device == "cpu" else sys.maxsize
        frame_bytes = [level.height * level.width * level.channels * dtype.itemsize for level in synthesis.levels]
        self.frames_at_once = [max(1, limit // size) for size in frame_bytes]
        # One graph takes all frames at once; random noise is drawn in another order in a graph.
        graphs = isinstance(synthesis.run_folded, Compiled) and noise_mode != "random"
        self.run = synthesis.run_folded if graphs else None

    @torch.no_grad()
    def __call__(self, motion_v: Float[Tensor, "T V"], view: View | None = None) -> Float[Tensor, "T 3 Y X"]:
        """Frames, nominally in [-1, 1].

        Args:
            motion_v: Their time embeddings.
            view: What is seen of them, if there is a decoder; None is the whole native frame.
        """
        view = view or View.of(self.resolution)
        return self._frames(motion_v, lambda drawn: drawn.look(view))

    @torch.no_grad()
    def canvas(self, motion_v: Float[Tensor, "T V"]) -> Canvas:
        """Frames that can be looked at; there is a decoder."""
        return Canvas.joined(self._frames(motion_v, lambda drawn: [drawn]))

    def _frames(self, motion_v: Tensor, finish: Callable[[Canvas], Tensor | list[Canvas]]) -> Any:
        with torch.autocast(self.device, enabled=False):
            if self.run is not None:
                return self._from_block(len(self.blocks), self.run(self.all_blocks, motion_v), finish)
            return self._from_block(0, (self.entry(motion_v), None, None, motion_v), finish)

    def all_blocks(self, motion_v: Float[Tensor, "T V"]) -> State:
        """What the blocks make of all frames at once."""
        x, rgb, features = self.entry(motion_v), None, None
        for number, block in enumerate(self.blocks):
            x, rgb = block(x, rgb)
            features = x if number == self.tapped else features
        return x, rgb, features, motion_v

    def _from_block(self, first: int, state: State, finish: Callable[[Canvas], Any]) -> Any:
        """What the blocks from this one on make of features; a few frames at a time where they are large.

        Args:
            first: Number of the block.
            state: Features, the image so far, the features that the decoder reads, and the time embeddings.
            finish: Does away with what a decoder looks at, of a few frames.
        """
        x, rgb, features, motion_v = state
        if first == len(self.blocks):
            if self.decoder is None:
                return center_crop(rgb, self.resolution)
            return finish(self.decoder(features, rgb, self.style, motion_v.to(self.style.dtype)))
        few = self.frames_at_once[first]
        if len(x) > few:
            parts = [[None] * -(-len(x) // few) if one is None else one.split(few) for one in state]
            found = [self._from_block(first, part, finish) for part in zip(*parts, strict=True)]
            return torch.cat(found) if isinstance(found[0], Tensor) else [one for part in found for one in part]
        x, rgb = self.blocks[first](x, rgb)
        features = x if first == self.tapped else features
        return self._from_block(first + 1, (x, rgb, features, motion_v), finish)
