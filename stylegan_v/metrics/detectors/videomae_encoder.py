"""The vision transformer of VideoMAE V2 (Wang et al., CVPR 2023), as content-debiased FVD computes with it.

A description of the network of the package cd-fvd 0.1.1 (MIT); parameters are named as in the published file. Positions
are one sinusoid over all tokens (t, y, x), not one per axis.

Shape legend
    B, T        clips, frames of a clip
    S           slots in time: T // 2
    H, W        height and width: of frames in pixels, of grids in patches
    N, D        tokens of a clip (slots x rows x columns of patches), their width
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

_LAYER_NORM_EPS = 1e-6
_POSITION_BASE = 10_000
_SLOT_EXCESS = 0.1  # see `positions_for`


@dataclass(frozen=True)
class Sizes:
    """How large an encoder is.

    Attributes:
        width: D.
        depth: Blocks.
        num_heads: Of the attention; divides ``width``.
        hidden: Width within the two layers after each attention.
        patch: Side of a patch in pixels.
        image: Side of a frame in pixels, a multiple of ``patch``.
        num_frames: That the positions are made for.
        frames_per_slot: Frames of one token.
        num_classes: C.
    """

    width: int
    depth: int
    num_heads: int
    hidden: int
    patch: int
    image: int
    num_frames: int
    frames_per_slot: int
    num_classes: int


# ViT-g of VideoMAE V2, fine-tuned on the 174 classes of Something-Something v2.
GIANT = Sizes(
    width=1408,
    depth=40,
    num_heads=16,
    hidden=6144,
    patch=14,
    image=224,
    num_frames=16,
    frames_per_slot=2,
    num_classes=174,
)


def sinusoids(num: int, width: int) -> Float32[Tensor, "num width"]:
    """Sines and cosines, taking turns, of places 0 ... num - 1 (Vaswani et al. 2017, section 3.5).

    Args:
        num: Places.
        width: Of the code of a place.
    """
    channel = torch.arange(width)
    rate = _POSITION_BASE ** (-2 * (channel // 2).double() / width)
    angle = torch.arange(num).double().unsqueeze(1) * rate
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).float()


def positions_for(sizes: Sizes, num_frames: int) -> Float32[Tensor, "1 N D"]:
    """What is added to the tokens to tell where they are.

    Args:
        sizes: Of the encoder.
        num_frames: T of the clips.
    """
    slots, own = num_frames // sizes.frames_per_slot, sizes.num_frames // sizes.frames_per_slot
    rows = sizes.image // sizes.patch
    table = sinusoids(own * rows * rows, sizes.width)
    if slots == own:
        return table.unsqueeze(0)
    grid = rearrange(table, "(S H W) D -> 1 D S H W", S=own, H=rows, W=rows)
    # A scale slightly above the wanted one keeps rounding from losing a slot, and moves where the table is read: cd-fvd
    # does so, hence its figures for other numbers of frames.
    scale = ((slots + _SLOT_EXCESS) / own, 1, 1)
    return rearrange(F.interpolate(grid, scale_factor=scale, mode="trilinear"), "1 D S H W -> 1 (S H W) D")


class Patches(nn.Module):
    """Tokens of space-time patches: one linear map of their pixels.

    Args:
        sizes: Of the encoder.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        kernel = (sizes.frames_per_slot, sizes.patch, sizes.patch)
        self.proj = nn.Conv3d(3, sizes.width, kernel, stride=kernel)

    def forward(self, x: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B N D"]:
        return rearrange(self.proj(x), "B D S H W -> B (S H W) D")


class Attention(nn.Module):
    """Attention of all tokens to all; queries and values have a bias, keys have none.

    Args:
        width: D.
        num_heads: Divides ``width``.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        query, key, value = self.qkv(x).chunk(3, dim=2)
        query, key, value = (
            rearrange(part, "B N (heads d) -> B heads N d", heads=self.num_heads)
            for part in (query + self.q_bias, key, value + self.v_bias)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(rearrange(mixed, "B heads N d -> B N (heads d)"))


class Feedforward(nn.Module):
    """Two layers that see each token by itself.

    Args:
        width: D.
        hidden: Between the two.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Attention, then two layers per token, each added to what it was given normalised.

    Args:
        sizes: Of the encoder.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.width, eps=_LAYER_NORM_EPS)
        self.attn = Attention(sizes.width, sizes.num_heads)
        self.norm2 = nn.LayerNorm(sizes.width, eps=_LAYER_NORM_EPS)
        self.mlp = Feedforward(sizes.width, sizes.hidden)

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VideoMaeEncoder(nn.Module):
    """Clips in [0, 1] at the encoder's size to features, and features to class scores.

    Args:
        sizes: Of the encoder.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.patch_embed = Patches(sizes)
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.depth))
        self.fc_norm = nn.LayerNorm(sizes.width, eps=_LAYER_NORM_EPS)
        self.head = nn.Linear(sizes.width, sizes.num_classes)

    def forward(self, clips: Float[Tensor, "B T 3 H W"], positions: Float[Tensor, "1 N D"]) -> Float[Tensor, "B D"]:
        """Features: the normalised mean of the tokens.

        Args:
            clips: In [0, 1].
            positions: From `positions_for`, for T frames.
        """
        x = self.patch_embed(rearrange(clips, "B T C H W -> B C T H W")) + positions
        for block in self.blocks:
            x = block(x)
        return self.fc_norm(x.mean(dim=1))
