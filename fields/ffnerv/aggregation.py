"""Frames made of their neighbours, moved by flows, as FFNeRV does it (Lee et al., ACM MM 2023).

Shape legend
    B       frames
    K       neighbours
    C       channels
    H, W    height and width of frames
    h, w    of flows
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from fields.coords import mesh


def warp(
    frames: Float[Tensor, "B C H W"], flow: Float[Tensor, "B 2 h w"], official: bool = False
) -> Float[Tensor, "B C H W"]:
    """Frames read at places that a flow points to, linearly; beyond the outermost pixels these.

    FFNeRV's program places pixels as if the first and the last lay on the ends of the axis, and reads as if these were
    their outer edges. So its flow of zeros pulls frames apart by a pixel over their width. Here it changes nothing.

    Args:
        frames: To be read.
        flow: How many of its own pixels to go, (x, y); brought to the frames' size.
        official: Place pixels as the program does, for its weights.
    """
    height, width = frames.shape[-2:]
    if flow.shape[-1] != width:
        scale = width // flow.shape[-1]
        flow = F.interpolate(flow, scale_factor=scale, mode="bilinear", align_corners=False) * scale
    sides = flow.new_tensor([width, height])
    places = rearrange(mesh((height, width), device=flow.device).to(flow.dtype), "h w yx -> 1 h w yx").flip(-1)
    moved = places + 2 * rearrange(flow, "b xy h w -> b h w xy") / sides
    if official:
        moved = ((moved + 1) * sides - 1) / (sides - 1).clamp_min(1) - 1
    return F.grid_sample(frames, moved.to(frames.dtype), padding_mode="border", align_corners=False)


def aggregate(
    neighbours: Float[Tensor, "B K C H W"], flow_head: Float[Tensor, "B 3*K h w"], official: bool = False
) -> Float[Tensor, "B C H W"]:
    """Neighbours, each moved by its flow, mixed by weights that sum to 1 at every pixel (FFNeRV, section 3.2).

    Args:
        neighbours: Frames beside those to be made.
        flow_head: For each neighbour two channels of its flow, then for each one of weights before the softmax.
        official: As for `warp`.
    """
    count, height, width = neighbours.shape[1], *neighbours.shape[-2:]
    flows = rearrange(flow_head[:, : 2 * count], "b (k xy) h w -> (b k) xy h w", xy=2)
    moved = warp(rearrange(neighbours, "b k c h w -> (b k) c h w"), flows, official)
    weights = F.interpolate(flow_head[:, 2 * count :], size=(height, width), mode="nearest").softmax(dim=1)
    return torch.einsum("bkhw,bkchw->bchw", weights, rearrange(moved, "(b k) c h w -> b k c h w", k=count))


def blend(
    independent: Float[Tensor, "B C H W"], aggregated: Float[Tensor, "B C H W"], logits: Float[Tensor, "B 2 H W"]
) -> Float[Tensor, "B C H W"]:
    """The final frame: both mixed by weights that sum to 1 at every pixel.

    Args:
        independent: Made without neighbours.
        aggregated: Made of neighbours.
        logits: Weights of the two before the softmax.
    """
    first, second = logits.softmax(dim=1).split(1, dim=1)
    return first * independent + second * aggregated
