"""How the discriminator learns the times of its frames: by a hypernetwork or by a projection (StyleGAN-V, section 3.3).

A conditioning makes the discriminator's parts that depend on it: the first convolution of each block and the head.

Shape legend
    B, k    clips and frames of a clip
    N       frames of all clips, or clips once their frames are joined
    C       dimension of the label
    P       differences of neighbouring times that are encoded: k - 1, or 1 when all are equal
    E       values that encode one difference
    D       dimension of the condition h
    F       features of the epilogue
    A       facts of a view: log2 of its scale, centre (y, x) of its window
"""

from __future__ import annotations

import math

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Real
from torch import Tensor, nn

from stylegan_v.networks.layers import EqualizedConv2d, EqualizedLinear, StyledConv
from stylegan_v.networks.mapping import ConditionedMLP

_EMBEDDING_DIM = 256


def distance_frequencies(max_num_frames: int, num_skipped: int = 0) -> Float[Tensor, "1 f"]:
    """pi 2^j / n with n the horizon rounded up to a power of two; the ``num_skipped`` highest are left out."""
    num = max(math.ceil(math.log2(max_num_frames)), 1)
    exponents = torch.arange(num - num_skipped, dtype=torch.float32)
    return (torch.pi * 2**exponents / 2**num).unsqueeze(0)


class TimeDistanceEncoding(nn.Module):
    """Differences of neighbouring frame times as a learned embedding joined to sines and cosines.

    Args:
        num_frames: k.
        max_num_frames: Horizon of training, the rows of the embedding; longer differences take the last row.
        uniform_spacing: Whether all differences of a clip are equal, so that only the first is encoded.
        num_skipped_frequencies: Highest frequencies to leave out.
    """

    fourier_coefs: Tensor

    def __init__(
        self,
        num_frames: int,
        max_num_frames: int = 1024,
        uniform_spacing: bool = False,
        num_skipped_frequencies: int = 0,
    ) -> None:
        super().__init__()
        self.num_differences = min(1, num_frames - 1) if uniform_spacing else num_frames - 1
        self.const_embed = nn.Embedding(max_num_frames, _EMBEDDING_DIM)
        self.register_buffer("fourier_coefs", distance_frequencies(max_num_frames, num_skipped_frequencies))
        self.out_dim = self.num_differences * (_EMBEDDING_DIM + 2 * self.fourier_coefs.shape[1])

    def forward(self, t: Real[Tensor, "B k"]) -> Float[Tensor, "B e"]:
        difference = rearrange(t.diff(dim=1)[:, : self.num_differences], "b p -> (b p) 1")
        row = difference.float().round().long().clamp(0, self.const_embed.num_embeddings - 1)
        angle = difference.float() * self.fourier_coefs
        code = torch.cat([self.const_embed(row.squeeze(1)), angle.sin(), angle.cos()], dim=1)
        return rearrange(code, "(b p) e -> b (p e)", b=len(t))


class ViewEncoding(nn.Module):
    """What is added to the condition for the scale and the part of the frame that a clip shows; zero at first.

    Args:
        dim: D.
    """

    num_facts = 3

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.hidden = EqualizedLinear(self.num_facts, dim, act="lrelu")
        self.out = EqualizedLinear(dim, dim)
        nn.init.zeros_(self.out.weight)

    def forward(self, view: Float[Tensor, "B A"]) -> Float[Tensor, "B D"]:
        return self.out(self.hidden(view))


class Conditioning(nn.Module):
    """Times, labels and views to the condition h; the base of both kinds.

    Args:
        num_frames: k, 1 to 16.
        c_dim: C.
        dim: D.
        num_layers: Fully connected layers of the condition's mapping.
        max_num_frames: Horizon of training.
        uniform_spacing: Whether all time differences of a clip are equal.
        ignored: Multiply the condition by zero (an ablation of the paper).
        views: Whether it is also told which scale and part of the frame a clip shows; at first without effect.
    """

    def __init__(
        self,
        num_frames: int = 3,
        c_dim: int = 0,
        dim: int = 512,
        num_layers: int = 2,
        max_num_frames: int = 1024,
        uniform_spacing: bool = False,
        ignored: bool = False,
        views: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= num_frames <= 16:
            raise ValueError(f"num_frames {num_frames}: the discriminator takes 1 to 16 frames of a clip")
        self.num_frames, self.c_dim, self.dim, self.ignored = num_frames, c_dim, dim, ignored
        many = num_frames > 1
        self.time_encoder = TimeDistanceEncoding(num_frames, max_num_frames, uniform_spacing) if many else None
        in_dim = c_dim + (self.time_encoder.out_dim if many else 0)
        self.mapping = ConditionedMLP(0, dim, in_dim, num_layers) if in_dim else None
        self.const = None if in_dim else self.make_const()
        if views and self.mapping is None and self.const is None:
            raise ValueError("views: a projection of images without labels has no condition: use another conditioning")
        self.view_encoder = ViewEncoding(dim) if views else None

    def make_const(self) -> nn.Parameter | None:
        """What stands for the condition where there is neither time nor label."""
        return None

    def condition(self, t: Real[Tensor, "B k"], c: Float[Tensor, "B C"] | None) -> Float[Tensor, "B c"]:
        """Labels, then time differences: what the mapping is given."""
        if self.c_dim and c is None:
            raise ValueError(f"this discriminator has labels (c_dim {self.c_dim}): pass c")
        parts = [c.float()] if self.c_dim else []
        parts += [self.time_encoder(t)] if self.time_encoder is not None else []
        condition = torch.cat(parts, dim=1)
        return condition * 0 if self.ignored else condition

    def forward(
        self, t: Real[Tensor, "B k"], c: Float[Tensor, "B C"] | None = None, view: Float[Tensor, "B A"] | None = None
    ) -> Float[Tensor, "B D"] | None:
        """The condition h; where there is neither time nor label, the constant or None.

        Args:
            t: Frame times.
            c: Labels.
            view: What is known of the views, see the legend; None where all are whole frames at the native scale.
        """
        if view is not None and self.view_encoder is None:
            raise ValueError("this discriminator is not told of views: build its conditioning with views")
        with torch.autocast(t.device.type, enabled=False):
            h = self._of_times(t, c)
            if self.view_encoder is None:
                return h
            return h + self.view_encoder(h.new_zeros(len(t), ViewEncoding.num_facts) if view is None else view)

    def _of_times(self, t: Real[Tensor, "B k"], c: Float[Tensor, "B C"] | None) -> Float[Tensor, "B D"] | None:
        if self.mapping is None:
            return None if self.const is None else repeat(self.const, "d -> b d", b=len(t))
        return self.mapping(None, self.condition(t, c))


class PlainConv(EqualizedConv2d):
    """First convolution of a block that takes no notice of the condition."""

    def forward(self, x: Float[Tensor, "N I H W"], h: Float[Tensor, "B D"] | None) -> Float[Tensor, "N O H W"]:
        return super().forward(x)


class ProjectionHead(nn.Module):
    """Features to a logit by an inner product with the condition (Miyato and Koyama 2018).

    Args:
        features: F.
        dim: D; 0 without a condition.
    """

    def __init__(self, features: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.out = EqualizedLinear(features, dim or 1)

    def forward(
        self, x: Float[Tensor, "B F"], h: Float[Tensor, "B D"] | None, c: Float[Tensor, "B C"] | None
    ) -> Float[Tensor, " B"]:
        x = self.out(x)
        return x.squeeze(1) if h is None else (x * h).sum(dim=1) / math.sqrt(self.dim)


class ProjectionConditioning(Conditioning):
    """The released form: plain convolutions, and a head that projects on the condition. Arguments as `Conditioning`."""

    def make_conv(self, in_channels: int, out_channels: int, conv_clamp: float | None) -> nn.Module:
        """The first convolution of a block."""
        return PlainConv(in_channels, out_channels, 3, conv_clamp=conv_clamp)

    def make_head(self, features: int) -> nn.Module:
        """What turns features, condition and label into a logit."""
        return ProjectionHead(features, 0 if self.mapping is None else self.dim)


class LabelHead(nn.Module):
    """Features to a logit; with labels, plus a projection on the label alone.

    Args:
        features: F.
        c_dim: C.
    """

    def __init__(self, features: int, c_dim: int) -> None:
        super().__init__()
        self.out = EqualizedLinear(features, 1)
        self.label_mapping = ConditionedMLP(0, features, c_dim) if c_dim else None

    def forward(
        self, x: Float[Tensor, "B F"], h: Float[Tensor, "B D"] | None, c: Float[Tensor, "B C"] | None
    ) -> Float[Tensor, " B"]:
        logits = self.out(x).squeeze(1)
        if self.label_mapping is None:
            return logits
        return logits + (x * self.label_mapping(None, c)).sum(dim=1) / math.sqrt(x.shape[1])


class HypernetworkConditioning(Conditioning):
    """The condition modulates the first convolution of each block, the same for all frames of a clip.

    The first version of the paper; a modulated convolution costs about a quarter more than a plain one, hence only
    one per block. With a single frame and no labels h is a learned constant. Arguments as `Conditioning`.
    """

    def make_const(self) -> nn.Parameter:
        return nn.Parameter(torch.randn(self.dim))

    def make_conv(self, in_channels: int, out_channels: int, conv_clamp: float | None) -> nn.Module:
        """The first convolution of a block."""
        return StyledConv(in_channels, out_channels, self.dim, conv_clamp=conv_clamp)

    def make_head(self, features: int) -> nn.Module:
        """What turns features, condition and label into a logit."""
        return LabelHead(features, self.c_dim)
