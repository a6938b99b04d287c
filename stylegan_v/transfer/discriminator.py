"""The discriminator's trunk: another number of frames where they are joined, another kind of first convolution.

Below the clamp the leaky ReLU commutes with positive factors. So where a convolution can only be matched up to a factor
per channel, as demodulation has it, its bias takes the factor too and the next convolution takes it back.

Shape legend
    I, O    input and output channels
    D       dimension of the condition h
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from stylegan_v.networks import Discriminator
from stylegan_v.networks.discriminator import DiscriminatorBlock
from stylegan_v.networks.layers import EqualizedConv2d, EqualizedLinear, StyledConv
from stylegan_v.ops.modulated_conv import demodulation
from stylegan_v.transfer.conditioning import fill_conditioning, fill_head, reference
from stylegan_v.transfer.doubling import fill_top
from stylegan_v.transfer.inputs import Inputs, joined, same, scaled, shares
from stylegan_v.transfer.layers import effective, fits, layer
from stylegan_v.transfer.ledger import Ledger


def fill_discriminator(ledger: Ledger, new: Discriminator, old: Discriminator) -> None:
    """Fills a discriminator from another."""
    alike = fill_conditioning(ledger, new.conditioning, old.conditioning)
    condition = Condition(reference(old.conditioning), alike)
    fill_top(ledger, new, old)
    for name in new.blocks.keys() & old.blocks.keys():
        block, source = new.blocks[name], old.blocks[name]
        if _joins(new, name) == _joins(old, name):
            _fill_block(ledger, block, source, _channels(new, old, name, source.skip), condition)
        else:
            ledger.anew(block, "frames are joined elsewhere")
    _fill_epilogue(ledger, new, old)
    fill_head(ledger, new, old, alike)


def _joins(network: Discriminator, name: str) -> bool:
    """Whether frames are joined before what works at this resolution."""
    return name == f"b{network.join_at}"


def _channels(new: Discriminator, old: Discriminator, name: str, taker: EqualizedConv2d, extra: int = 0) -> Inputs:
    """What a layer of the source at this resolution is given, its ``extra`` last channels apart."""
    num_channels = taker.weight.shape[1] - extra
    if not _joins(old, name) or new.num_frames == old.num_frames:
        return same(num_channels)
    one, how = same(num_channels // old.num_frames), f"{old.num_frames} -> {new.num_frames} frames"
    return Inputs(one.matrix, one.rest, how).per_frame(shares(old.num_frames, new.num_frames))


def _fill_epilogue(ledger: Ledger, new: Discriminator, old: Discriminator) -> None:
    mine, theirs = new.epilogue, old.epilogue
    name, old_name = (f"b{network.levels[-1].name}" for network in (new, old))
    if _joins(new, name) != _joins(old, old_name):
        ledger.anew(mine, "frames are joined elsewhere")
        return
    channels = _channels(new, old, old_name, theirs.conv, extra=1)  # the standard deviation
    if layer(ledger, mine.conv, theirs.conv, joined(channels, same(1))):
        ledger.take(mine.fc, theirs.fc)
    else:
        ledger.anew(mine.fc, "the layer before it changed")


@dataclass(frozen=True)
class Condition:
    """What modulates the source's convolutions.

    Attributes:
        reference: h of neighbouring frames, the mean over classes; None where there is none.
        alike: Whether h of the new network is what h of the old one was.
    """

    reference: Float[Tensor, " D"] | None
    alike: bool


def _fill_block(
    ledger: Ledger, new: DiscriminatorBlock, old: DiscriminatorBlock, channels: Inputs, condition: Condition
) -> None:
    factors = _fill_first_conv(ledger, new.conv0, old.conv0, channels, condition)
    size = same(old.conv1.weight.shape[1]) if factors is None else scaled(factors, "takes back the factor of conv0")
    layer(ledger, new.conv1, old.conv1, size)
    layer(ledger, new.skip, old.skip, channels)


# The first convolution of a block: plain or modulated


def _fill_first_conv(
    ledger: Ledger,
    new: EqualizedConv2d | StyledConv,
    old: EqualizedConv2d | StyledConv,
    channels: Inputs,
    condition: Condition,
) -> Float[Tensor, " O"] | None:
    """Fills it.

    Returns:
        By what its outputs exceed those of the source; None where they do not.
    """
    if not fits(new, old, channels):
        ledger.take(new, old)
        return None
    if isinstance(new, StyledConv):
        return (_modulate_again if isinstance(old, StyledConv) else _modulate)(ledger, new, old, channels, condition)
    if isinstance(old, StyledConv):
        _fix(ledger, new, old, channels, condition)
    else:
        layer(ledger, new, old, channels)
    return None


def _modulate(
    ledger: Ledger, new: StyledConv, old: EqualizedConv2d, channels: Inputs, _: Condition
) -> Float[Tensor, " O"]:
    """A plain convolution as a modulated one whose styles start at one: demodulation divides it by its norm."""
    how = "plain -> modulated, all styles one at first"
    kernel = channels.columns(effective(old))
    factors = 1 / kernel.flatten(1).norm(dim=1).clamp(min=1e-8)
    unit = kernel * factors[:, None, None, None] * kernel[0].numel() ** 0.5  # unit variance, as weights are stored
    ledger.adapt(new, "weight", unit, how, old)
    ledger.adapt(new, "bias", old.bias * factors, how, old)
    ledger.start(new.affine, "weight", 0.0, how)
    ledger.start(new.affine, "bias", 1.0, how)
    return factors


def _fix(ledger: Ledger, new: EqualizedConv2d, old: StyledConv, channels: Inputs, condition: Condition) -> None:
    """A modulated convolution as the plain one that it is under the reference condition."""
    how = "modulated -> plain, as for neighbouring frames"
    styles = old.affine(condition.reference.unsqueeze(0))
    kernel = old.weight * styles[:, :, None, None] * demodulation(old.weight, styles)[0][:, None, None, None]
    ledger.use(old.affine)
    ledger.adapt(new, "weight", channels.columns(kernel) / new.weight_gain, how, old)
    ledger.take(new, old, ["bias"])


def _modulate_again(
    ledger: Ledger, new: StyledConv, old: StyledConv, channels: Inputs, condition: Condition
) -> Float[Tensor, " O"] | None:
    """A modulated convolution with other channels, or with another condition.

    A frame takes the mean affine layer of those that it stands for, and under the reference condition a style as large
    as theirs are, so that the product of kernel and style can be what it was. The norm of the kernel is another, and so
    is the factor of demodulation. All of it holds under any condition where every frame becomes as many new ones.
    """
    if channels.unchanged and condition.alike:
        ledger.take(new, old)
        return None
    styles = old.affine(condition.reference.unsqueeze(0))[0]
    mean = _shared(channels, styles)
    size = _shared(channels, styles.square()).sqrt().clamp(min=1e-8)
    after = torch.where(mean < 0, -size, size)
    _fill_affine(ledger, new.affine, old.affine, channels, condition.alike, after - mean, after)
    if channels.unchanged:
        ledger.take(new, old, ["weight", "bias"])
        return None
    kernel = channels.columns(old.weight * styles[:, None, None]) / after[:, None, None]
    factors = (demodulation(kernel, after.unsqueeze(0)) / demodulation(old.weight, styles.unsqueeze(0)))[0]
    ledger.adapt(new, "weight", kernel, channels.how, old)
    ledger.adapt(new, "bias", old.bias * factors, channels.how, old)
    return factors


def _fill_affine(
    ledger: Ledger,
    new: EqualizedLinear,
    old: EqualizedLinear,
    channels: Inputs,
    alike: bool,
    correction: Float[Tensor, " I"],
    after: Float[Tensor, " I"],
) -> None:
    """The condition to styles; where it means something else now, styles that stay those of the reference at first."""
    if alike:
        ledger.adapt(new, "weight", _shared(channels, old.weight), channels.how, old)
        ledger.adapt(new, "bias", _shared(channels, old.bias) + correction, channels.how, old)
    else:
        how = "the styles of neighbouring frames at first: the condition is another"
        ledger.start(new, "weight", 0.0, how)
        ledger.adapt(new, "bias", after, how, old)
        ledger.use(old)


def _shared(channels: Inputs, values: Tensor) -> Tensor:
    """Means over frames; every new frame stands for some old one."""
    return channels.shared(values, values.new_zeros(channels.matrix.shape[1], *values.shape[1:]))
