"""One layer from another whose inputs changed; with equalised learning rates, stored weights change with the fan-in."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stylegan_v.networks.layers import (
    EqualizedConv1d,
    EqualizedConv2d,
    EqualizedLinear,
    StyledConv,
    normalize_second_moment,
)
from stylegan_v.networks.mapping import ConditionedMLP
from stylegan_v.transfer.inputs import Inputs, held, joined, same, unrelated
from stylegan_v.transfer.ledger import Ledger

Equalized = EqualizedLinear | EqualizedConv1d | EqualizedConv2d


def effective(layer: Equalized) -> Float[Tensor, "O I ..."]:
    """The weights that a layer works with."""
    return layer.weight.detach() * layer.weight_gain


def bias_gain(layer: Equalized) -> float:
    """What the stored bias is multiplied by."""
    return 1.0 if isinstance(layer, EqualizedConv2d) else layer.bias_gain


def fits(new: nn.Module, old: nn.Module, inputs: Inputs) -> bool:
    """Whether the weights of two layers differ in their inputs alone, as ``inputs`` says."""
    (outputs, num_old, *kernel), (wanted, num_new, *new_kernel) = old.weight.shape, new.weight.shape
    return (outputs, kernel) == (wanted, new_kernel) and inputs.matrix.shape == (num_old, num_new)


def layer(ledger: Ledger, new: Equalized, old: Equalized, inputs: Inputs) -> bool:
    """A layer that gives the same outputs; anew where its outputs or kernel changed.

    Returns:
        Whether the new layer stands for the old one.
    """
    if inputs.unchanged or not fits(new, old, inputs):
        return ledger.take(new, old)
    weights = effective(old)
    ledger.adapt(new, "weight", inputs.columns(weights) / new.weight_gain, inputs.how, old)
    if old.bias is not None:
        if inputs.rest.any():
            bias = (old.bias * bias_gain(old) + inputs.offset(weights)) / bias_gain(new)
            ledger.adapt(new, "bias", bias, inputs.how, old)
        else:
            ledger.take(new, old, ["bias"])
    return True


def mlp(ledger: Ledger, new: ConditionedMLP, old: ConditionedMLP, condition: Inputs) -> bool:
    """A mapping network that gives the same vectors; anew where its widths or its depth changed.

    A condition that it did not have starts without effect. One that it has no longer is replaced by the mean over
    classes of what its embedding was.

    Returns:
        Whether the new network stands for the old one.
    """
    if _sizes(new) != _sizes(old):
        ledger.anew(new, "another width or depth")
        return False
    first = same(new.in_dim)
    if new.embed is not None and old.embed is not None:
        layer(ledger, new.embed, old.embed, condition)
        first = joined(first, same(new.embed.weight.shape[0]))
    elif new.embed is not None:
        ledger.anew(new.embed, condition.how)
        first = joined(first, unrelated(0, new.embed.weight.shape[0], condition.how))
    elif old.embed is not None:
        ledger.use(old.embed)
        first = joined(first, held(_mean_embedding(old), condition.how))
    for number, (mine, theirs) in enumerate(zip(new.layers, old.layers, strict=True)):
        layer(ledger, mine, theirs, same(theirs.weight.shape[1]) if number else first)
    ledger.take(new, old, [name for name, _ in new.named_buffers()])
    return True


def _sizes(network: ConditionedMLP) -> tuple[int, list[int]]:
    return network.in_dim, [len(layer.weight) for layer in network.layers]


def _mean_embedding(network: ConditionedMLP) -> Float[Tensor, " D"]:
    return normalize_second_moment(network.embed(torch.eye(network.c_dim))).mean(dim=0)


def silence(ledger: Ledger, network: ConditionedMLP, how: str) -> None:
    """A new mapping network that gives zeros, and learns."""
    constant(ledger, network, torch.zeros(len(network.layers[-1].weight)), how)


def constant(ledger: Ledger, network: ConditionedMLP, value: Float[Tensor, " D"], how: str) -> None:
    """A mapping network that gives the same vector whatever it is given, until it learns otherwise.

    Its last layer, sqrt(2) lrelu(W x + b), gets no weights, and the bias at which the activation has this value.
    """
    last = network.layers[-1]
    bias = torch.where(value < 0, value / 0.2, value) / 2**0.5
    ledger.start(last, "weight", 0.0, how)
    ledger.start(last, "bias", bias / last.bias_gain, how)


def styled(ledger: Ledger, new: StyledConv, old: StyledConv, channels: Inputs, styles: Inputs) -> bool:
    """A modulated convolution with other input channels and other styles.

    Where every old channel became one new channel it gives the same outputs; a channel that stands for several, or for
    none, takes their mean style, or a style of its own.

    Returns:
        Whether the new layer stands for the old one.
    """
    if not (
        fits(new, old, channels) and styles.matrix.shape == (old.affine.weight.shape[1], new.affine.weight.shape[1])
    ):
        return ledger.take(new, old)
    if channels.unchanged:
        layer(ledger, new.affine, old.affine, styles)
        _noise(ledger, new, old)
        return ledger.take(new, old, ["weight", "bias"])
    affine, how = new.affine, channels.how
    fresh = ledger.fresh(affine, "weight") * affine.weight_gain
    weight = channels.shared(styles.columns(effective(old.affine)), fresh) / affine.weight_gain
    ledger.adapt(affine, "weight", weight, how, old.affine)
    bias = old.affine.bias + styles.offset(effective(old.affine))
    ledger.adapt(affine, "bias", channels.shared(bias, ledger.fresh(affine, "bias")), how, old.affine)
    ledger.adapt(new, "weight", channels.columns(old.weight), how, old)
    _noise(ledger, new, old)
    return ledger.take(new, old, ["bias"])


def _noise(ledger: Ledger, new: StyledConv, old: StyledConv) -> None:
    """Noise inputs: their strength, and the constant image where its size is the same."""
    if new.noise_size is not None:
        ledger.take(new, old, ["noise_strength"])
        ledger.take(new, old, ["noise_const"])
