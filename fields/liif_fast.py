"""LIIF's decoder in its fast and exact form.

The perceptron's first layer is linear in latent, offset and cell, so it splits: its part on the unfolded latents is a
3x3 convolution, done once for every latent instead of four times for every point; offset and cell add a few
multiplications per point. Everything after it is as published, and so are all results, up to rounding.

Shape legend
    B       images
    C       channels of the encoder's features
    D       width of the first layer
    N       points per image
    M       members of the ensemble: 4, or 1
    P       points of all images
    R       rows that pass through the perceptron
    h, w    height and width of the features
"""

from __future__ import annotations

from itertools import pairwise

import torch
from einops import rearrange
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from fields.interface import ranges
from fields.liif_geometry import Members, members
from fields.mlp import MLP
from fields.unfolding import linear_on_features

# Rows per thread that pass through all layers before the next ones do: their activations stay in a core's cache.
ROWS = 512

# Members of smaller weight are not asked. A point on a line through latents' centres, as many are at odd
# magnifications, has two whose weights are rounding errors.
NEGLIGIBLE = 1e-6


def prepare(imnet: MLP, features: Float[Tensor, "B C h w"], unfolded: bool) -> Float[Tensor, "B D h w"]:
    """The first layer's part on the latents, bias included, with the channels of a place side by side in memory.

    Args:
        imnet: The perceptron.
        features: Not unfolded.
        unfolded: Whether the perceptron is to see them unfolded.
    """
    first = imnet.layers[0]
    num_columns = features.shape[1] * (9 if unfolded else 1)
    mapped = linear_on_features(features, first.weight[:, :num_columns], first.bias)
    return mapped.contiguous(memory_format=torch.channels_last)


def _known(found: Members, scaled_cell: Tensor | None) -> Float32[Tensor, "M P K"]:
    parts = [found.offset] if scaled_cell is None else [found.offset, scaled_cell.expand_as(found.offset)]
    return rearrange(torch.cat(parts, dim=-1), "m b n k -> m (b n) k")


def _rows_of(found: Members, num_places: int) -> Int64[Tensor, "M P"]:
    start = num_places * torch.arange(found.index.shape[1], device=found.index.device)
    return rearrange(found.index + start[:, None], "m b n -> m (b n)")


def _on_known(imnet: MLP, known: Tensor) -> Float[Tensor, "K D"]:
    return imnet.layers[0].weight[:, -known.shape[-1] :].t()


def _may_write_in_place(table: Tensor) -> bool:
    # Blocks pay where there are caches per core. Autocast would not see results given by `out`.
    tracked = torch.is_grad_enabled() or torch.is_autocast_enabled(table.device.type)
    return table.device.type == "cpu" and table.dtype == torch.float32 and not tracked


def _tracked(imnet: MLP, table: Tensor, rows: Tensor, known: Tensor, weights: Tensor) -> Float[Tensor, "P 3"]:
    exact = torch.promote_types(torch.float32, imnet.layers[0].weight.dtype)
    on_known = _on_known(imnet, known).to(exact)
    total = None
    for row, given, weight in zip(rows, known, weights, strict=True):
        latent = table.index_select(0, row).to(exact)
        # Offsets rounded to half precision would move the point.
        with torch.autocast(table.device.type, enabled=False):
            x = torch.addmm(latent, given.to(exact), on_known).to(imnet.layers[0].weight.dtype)
        share = weight[:, None] * imnet.layers[1:](x)
        total = share if total is None else total + share
    return total


def _merged(rows: Tensor, weights: Tensor) -> Float32[Tensor, "M P"]:
    # In the outer half cells several members are one latent, seen from one offset: the first of them answers for all.
    merged = weights.clone()
    for later, earlier in ((k, j) for k in range(len(rows)) for j in range(k)):
        twin = merged[later] * (rows[later] == rows[earlier])
        merged[earlier] += twin
        merged[later] -= twin
    return merged


def _answers(imnet: MLP, table: Tensor, rows: Tensor, known: Tensor) -> Float[Tensor, "R 3"]:
    linear = list(imnet.layers[::2])
    on_known, widths = _on_known(imnet, known), [layer.out_features for layer in linear]
    num_rows = max(1, min(ROWS * torch.get_num_threads(), len(rows)))
    turns = table.new_empty(2, num_rows * max(widths))
    answers = table.new_empty(len(rows), widths[-1])
    for part in ranges(len(rows), num_rows):
        count = part.stop - part.start
        hidden = [turns[i % 2, : count * width].view(count, width) for i, width in enumerate(widths[:-1])]
        outputs = [*hidden, answers[part]]
        torch.index_select(table, 0, rows[part], out=outputs[0])
        outputs[0].addmm_(known[part], on_known)
        for layer, (x, out) in zip(linear[1:], pairwise(outputs), strict=True):
            torch.addmm(layer.bias, x.relu_(), layer.weight.t(), out=out)
    return answers


def _blocked(imnet: MLP, table: Tensor, rows: Tensor, known: Tensor, weights: Tensor) -> Float[Tensor, "P 3"]:
    weights = _merged(rows, weights)
    asked = ~(weights <= NEGLIGIBLE)
    answers = _answers(imnet, table, rows[asked], known[asked]).mul_(weights[asked][:, None])
    return table.new_zeros(rows.shape[1], answers.shape[1]).index_add_(0, asked.nonzero()[:, 1], answers)


def query(
    imnet: MLP,
    prepared: Float[Tensor, "B D h w"],
    coords: Float32[Tensor, "B N 2"],
    scaled_cell: Float32[Tensor, "B N 2"] | None,
    ensemble: bool,
) -> Float[Tensor, "B N 3"]:
    """Colours at points.

    Args:
        imnet: The perceptron.
        prepared: What `prepare` made.
        coords: Points (y, x) in [-1, 1].
        scaled_cell: Cells in half latent spacings; None leaves them out.
        ensemble: Four members or one.
    """
    size = (prepared.shape[-2], prepared.shape[-1])
    found = members(coords, size, ensemble)
    table = rearrange(prepared, "b d h w -> (b h w) d")
    rows, known = _rows_of(found, size[0] * size[1]), _known(found, scaled_cell)
    weights = rearrange(found.weight, "m b n -> m (b n)")
    decoder = _blocked if _may_write_in_place(table) else _tracked
    values = decoder(imnet, table, rows, known, weights)
    return rearrange(values, "(b n) c -> b n c", b=len(coords))
