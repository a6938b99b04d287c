"""What the discriminator knows of times and labels, and its head: other numbers of frames and classes, another kind.

Where the new network is asked what the old one could be asked, the condition h is what it was. Where one of them has no
condition, or conditions are of two kinds, the *reference* stands in: neighbouring frames, and the mean over classes.

Shape legend
    F       features of the epilogue
    D       dimension of the condition h
    C       dimension of the label
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from stylegan_v.networks import Discriminator, HypernetworkConditioning
from stylegan_v.networks.conditioning import Conditioning, LabelHead, ProjectionHead, TimeDistanceEncoding, ViewEncoding
from stylegan_v.transfer.inputs import Inputs, held, joined, labels, same, shares, unrelated
from stylegan_v.transfer.layers import bias_gain, constant, effective, mlp, silence
from stylegan_v.transfer.ledger import Ledger


def reference(conditioning: Conditioning) -> Float[Tensor, " D"] | None:
    """h of neighbouring frames, the mean over classes; None where there is no condition."""
    t = torch.arange(conditioning.num_frames).expand(max(conditioning.c_dim, 1), -1)
    h = conditioning(t, torch.eye(conditioning.c_dim) if conditioning.c_dim else None)
    return None if h is None else h.mean(dim=0)


# Times and labels to the condition


def fill_conditioning(ledger: Ledger, new: Conditioning, old: Conditioning) -> bool:
    """Fills a conditioning from another.

    Returns:
        Whether h is what it was.
    """
    if new.time_encoder is not None and old.time_encoder is not None:
        _fill_time_encoder(ledger, new.time_encoder, old.time_encoder)
    if new.view_encoder is not None:
        _fill_view_encoder(ledger, new.view_encoder, old.view_encoder)
    alike = type(new) is type(old)
    if new.mapping is None:
        return _without_mapping(ledger, new, old) if alike else False
    known = old.mapping is not None and mlp(ledger, new.mapping, old.mapping, conditions(new, old))
    if known and alike:
        return True
    return _with_constant(ledger, new, old) and alike


def _fill_view_encoder(ledger: Ledger, new: ViewEncoding, old: ViewEncoding | None) -> None:
    """What the source knows of views; where it knows nothing of them, they start without effect."""
    if old is None or not ledger.take(new, old):
        for name in ("weight", "bias"):
            ledger.start(new.out, name, 0.0, "views start without effect")


def _without_mapping(ledger: Ledger, new: Conditioning, old: Conditioning) -> bool:
    """An image discriminator without labels: h, if it has one, becomes a learned constant."""
    if not isinstance(new, HypernetworkConditioning):
        return old.mapping is None
    if old.mapping is None:
        return ledger.take(new, old, ["const"])
    if new.dim != old.dim:
        return False
    last = old.mapping.layers[-1]
    ledger.use(old)
    ledger.adapt(new, "const", reference(old), "the condition of neighbouring frames", last, "bias")
    return True


def _with_constant(ledger: Ledger, new: Conditioning, old: Conditioning) -> bool:
    """A mapping that starts with the same h for everything: what the source had as a constant, or ones to project on.

    A modulation needs nothing like it: where it is new, its weights start without effect.
    """
    if not isinstance(new, HypernetworkConditioning):
        constant(ledger, new.mapping, torch.ones(new.dim), "the condition starts constant")
    elif isinstance(old, HypernetworkConditioning) and old.const is not None and new.dim == old.dim:
        ledger.use(old)
        constant(ledger, new.mapping, old.const, "the condition starts as the constant of the source")
        return True
    return False


def _fill_time_encoder(ledger: Ledger, new: TimeDistanceEncoding, old: TimeDistanceEncoding) -> None:
    """Rows of the embedding for the differences that both know; longer ones take the last row, as they did."""
    num_old, num_new = old.const_embed.num_embeddings, new.const_embed.num_embeddings
    if num_old == num_new:
        ledger.take(new.const_embed, old.const_embed)
    else:
        rows = old.const_embed.weight[torch.arange(num_new).clamp(max=num_old - 1)]
        how = f"{num_old} -> {num_new} time differences"
        ledger.adapt(new.const_embed, "weight", rows, how, old.const_embed)
    if ledger.fresh(new, "fourier_coefs").equal(old.fourier_coefs):
        ledger.take(new, old, ["fourier_coefs"])
    else:
        ledger.start(new, "fourier_coefs", ledger.fresh(new, "fourier_coefs"), "follows the config")


def conditions(new: Conditioning, old: Conditioning) -> Inputs:
    """Labels and encoded time differences of the old network from those of the new one."""
    inputs = joined(labels(old.c_dim, new.c_dim), _times(new.time_encoder, old.time_encoder))
    if not (new.ignored or old.ignored):
        return inputs
    # A condition that is multiplied by zero says nothing: its weights are worth nothing, or are not needed.
    rest = torch.zeros_like(inputs.rest) if old.ignored else _reference_condition(old)
    return Inputs(torch.zeros_like(inputs.matrix), rest, "the condition is ignored")


def _reference_condition(conditioning: Conditioning) -> Float[Tensor, " E"]:
    num_classes = conditioning.c_dim
    classes = torch.full((1, num_classes), 1 / num_classes) if num_classes else None
    return conditioning.condition(torch.arange(conditioning.num_frames).unsqueeze(0), classes)[0]


def _times(new: TimeDistanceEncoding | None, old: TimeDistanceEncoding | None) -> Inputs:
    if old is None:
        return unrelated(0, new.out_dim, "time differences, starting at zero") if new is not None else same(0)
    codes = old(torch.arange(old.num_differences + 1).unsqueeze(0))[0]
    if new is None:
        return held(codes, "without time differences")
    one = codes[: old.out_dim // old.num_differences]
    inputs = _code(new, old, one)
    if new.num_differences == old.num_differences:
        return inputs.per_frame(torch.eye(old.num_differences))
    how = ", ".join(filter(None, [inputs.how, f"{old.num_differences} -> {new.num_differences} time differences"]))
    return Inputs(inputs.matrix, inputs.rest, how).per_frame(shares(old.num_differences, new.num_differences))


def _code(new: TimeDistanceEncoding, old: TimeDistanceEncoding, neighbours: Float[Tensor, " E"]) -> Inputs:
    """The code of one difference: embedding, then sines and cosines of the frequencies that both have.

    Frequencies that are no longer there are held at their value for neighbouring frames.
    """
    width = old.const_embed.embedding_dim
    matches = torch.isclose(old.fourier_coefs.T, new.fourier_coefs.cpu(), rtol=1e-5).float()
    if matches.shape[0] == matches.shape[1] and matches.trace() == len(matches):
        return same(width + 2 * len(matches))
    matrix = torch.block_diag(torch.eye(width), matches, matches)
    rest = neighbours * (matrix.sum(dim=1) == 0)
    return Inputs(matrix, rest, f"{matches.shape[0]} -> {matches.shape[1]} frequencies")


# The head


def fill_head(ledger: Ledger, new: Discriminator, old: Discriminator, alike: bool) -> None:
    """Fills the head.

    Args:
        ledger: Where it is entered.
        new: What is filled.
        old: The source.
        alike: Whether h is what it was.
    """
    mine, theirs = new.head, old.head
    if isinstance(mine, LabelHead) and isinstance(theirs, LabelHead):
        _fill_label_head(ledger, mine, theirs, labels(old.c_dim, new.c_dim))
    elif isinstance(mine, ProjectionHead) and isinstance(theirs, ProjectionHead) and alike:
        ledger.take(mine, theirs)
    elif mine.out.weight.shape[1] != theirs.out.weight.shape[1]:
        ledger.anew(mine, "another width")
    else:
        _fill_from_row(ledger, mine, old)


def _fill_label_head(ledger: Ledger, new: LabelHead, old: LabelHead, classes: Inputs) -> None:
    if new.out.weight.shape != old.out.weight.shape:
        ledger.anew(new, "another width")
    elif new.label_mapping is None and old.label_mapping is not None:
        ledger.use(old)
        _write_row(ledger, new.out, *_label_row(old), "the mean over classes", old)
    else:
        ledger.take(new.out, old.out)
        if new.label_mapping is not None and old.label_mapping is not None:
            mlp(ledger, new.label_mapping, old.label_mapping, classes)
        elif new.label_mapping is not None:
            silence(ledger, new.label_mapping, "labels start without effect")


def _fill_from_row(ledger: Ledger, new: LabelHead | ProjectionHead, old: Discriminator) -> None:
    """A head of another kind that gives the logits of the reference."""
    weight, bias = _reference_row(old)
    ledger.use(old.head)
    if isinstance(new, ProjectionHead) and new.dim:
        _spread_row(ledger, new, weight, bias, old.head)
        return
    _write_row(ledger, new.out, weight, bias, "the logits of the reference", old.head)
    if isinstance(new, LabelHead) and new.label_mapping is not None:
        silence(ledger, new.label_mapping, "labels start without effect")


def _reference_row(old: Discriminator) -> tuple[Float[Tensor, " F"], Float[Tensor, ""]]:
    """Weights and bias of the logit under the reference condition."""
    head, h = old.head, reference(old.conditioning)
    if isinstance(head, LabelHead):
        return _label_row(head)
    weight, bias = effective(head.out), head.out.bias * bias_gain(head.out)
    if h is None:
        return weight[0], bias[0]
    return h @ weight / math.sqrt(head.dim), h @ bias / math.sqrt(head.dim)


def _label_row(head: LabelHead) -> tuple[Float[Tensor, " F"], Float[Tensor, ""]]:
    weight, bias = effective(head.out)[0], head.out.bias[0] * bias_gain(head.out)
    if head.label_mapping is not None:
        mean = head.label_mapping(None, torch.eye(head.label_mapping.c_dim)).mean(dim=0)
        weight = weight + mean / math.sqrt(len(mean))
    return weight, bias


def _write_row(
    ledger: Ledger,
    out: torch.nn.Module,
    weight: Float[Tensor, " F"],
    bias: Float[Tensor, ""],
    how: str,
    old: LabelHead | ProjectionHead,
) -> None:
    ledger.adapt(out, "weight", weight.unsqueeze(0) / out.weight_gain, how, old.out)
    ledger.adapt(out, "bias", bias.reshape(1) / bias_gain(out), how, old.out)


def _spread_row(
    ledger: Ledger,
    new: ProjectionHead,
    weight: Float[Tensor, " F"],
    bias: Float[Tensor, ""],
    old: LabelHead | ProjectionHead,
) -> None:
    """A projection whose inner product with ones is the old logit.

    The rows stay random apart from their mean, so that each is told something else as soon as h begins to depend on
    times and labels.
    """
    how = "the logits of the reference, spread over the condition"
    rows = ledger.fresh(new.out, "weight") * new.out.weight_gain
    rows = rows - rows.mean(dim=0) + weight / math.sqrt(new.dim)
    ledger.adapt(new.out, "weight", rows / new.out.weight_gain, how, old.out)
    value = (bias / math.sqrt(new.dim) / bias_gain(new.out)).expand(new.dim)
    ledger.adapt(new.out, "bias", value, how, old.out)
