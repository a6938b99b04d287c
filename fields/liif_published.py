"""LIIF's decoder as published: the readable reference of the fast form.

Features are unfolded, the nearest latents are sampled, and the perceptron sees latent, offset and cell side by side.

Shape legend
    B       images
    C       channels, nine times those of the encoder where features are unfolded
    N       points per image
    K       inputs of the perceptron
    h, w    height and width of the features
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Float32
from torch import Tensor

from fields.coords import mesh
from fields.liif_geometry import member_points, shares
from fields.mlp import MLP
from fields.unfolding import unfold


def _nearest(values: Float[Tensor, "B C h w"], points: Float32[Tensor, "B N 2"]) -> Float[Tensor, "B N C"]:
    values = values.to(torch.promote_types(torch.float32, values.dtype))
    grid = rearrange(points.flip(-1), "b n xy -> b 1 n xy").to(values.dtype)
    sampled = F.grid_sample(values, grid, mode="nearest", align_corners=False)
    return rearrange(sampled, "b c 1 n -> b n c")


def prepare(imnet: MLP, features: Float[Tensor, "B c h w"], unfolded: bool) -> Float[Tensor, "B C h w"]:
    """The features, unfolded if they are to be."""
    return unfold(features) if unfolded else features


def member_inputs(
    prepared: Float[Tensor, "B C h w"],
    coords: Float32[Tensor, "B N 2"],
    scaled_cell: Float32[Tensor, "B N 2"] | None,
    ensemble: bool,
) -> tuple[list[Float[Tensor, "B N K"]], list[Float32[Tensor, "B N"]]]:
    """What the perceptron sees of each member, and the members' weights.

    Args:
        prepared: Features of `prepare`.
        coords: Points (y, x) in [-1, 1].
        scaled_cell: Cells in half latent spacings; None leaves them out.
        ensemble: Four members or one.
    """
    size = prepared.shape[-2:]
    counts = coords.new_tensor(size)
    centres = rearrange(mesh(size, device=coords.device), "h w yx -> 1 yx h w").expand(len(coords), -1, -1, -1)
    inputs, offsets = [], []
    for points in member_points(coords, tuple(size), ensemble):
        offset = (coords - _nearest(centres, points)) * counts
        known = [offset] if scaled_cell is None else [offset, scaled_cell]
        inputs.append(torch.cat([_nearest(prepared, points), *known], dim=-1))
        offsets.append(offset)
    return inputs, shares(offsets)


def query(
    imnet: MLP,
    prepared: Float[Tensor, "B C h w"],
    coords: Float32[Tensor, "B N 2"],
    scaled_cell: Float32[Tensor, "B N 2"] | None,
    ensemble: bool,
) -> Float[Tensor, "B N 3"]:
    """Colours at points; arguments as in `member_inputs`, and the perceptron."""
    inputs, weights = member_inputs(prepared, coords, scaled_cell, ensemble)
    dtype = imnet.layers[0].weight.dtype
    return sum(weight[..., None] * imnet(one.to(dtype)) for one, weight in zip(inputs, weights, strict=True))
