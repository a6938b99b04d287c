"""A discriminator for frames of twice the size that says of them what the old one says of their halves.

A new block can do nothing at first but hand colours on: of each colour +x and -x go through the two leaky ReLUs before
its last convolution, f(f(x)) - f(f(-x)) = (1 + 0.2^2) x undoes them, and that convolution, which halves the size with
the same filter as any other halving, computes what the old network's first layer made of the colours. Its shortcut is
zero. The other channels are random and have no effect yet, so there is something to learn from.

Shape legend
    O       output channels
"""

from __future__ import annotations

import math
from itertools import takewhile

import torch
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from stylegan_v.networks import Discriminator
from stylegan_v.networks.discriminator import DiscriminatorBlock
from stylegan_v.networks.layers import EqualizedConv2d, StyledConv
from stylegan_v.transfer.layers import effective
from stylegan_v.transfer.ledger import Ledger

_CARRIERS = 6  # plus and minus of three colours
_PAIR_GAIN = 2 * (1 + 0.2**2)  # of two activations, each lrelu times sqrt 2, on +x less on -x
_COLOURS = repeat(torch.eye(3), "c d -> (c s) d", s=2) * torch.tensor([1.0, -1.0]).repeat(3)[:, None]


def fill_top(ledger: Ledger, new: Discriminator, old: Discriminator) -> None:
    """Fills fromRGB, and the blocks above those of the source."""
    top = old.levels[0]
    above = list(takewhile(lambda level: level != top, new.levels))
    if not above:
        ledger.take(new.fromrgb, old.fromrgb)
    elif len(above) == len(new.levels):
        ledger.anew(new.fromrgb, "the source sees frames of another size")
    elif min(level.channels for level in above) < _CARRIERS:
        for module in (new.fromrgb, *(new.blocks[f"b{level.name}"] for level in above)):
            ledger.anew(module, f"fewer than {_CARRIERS} channels: colours cannot be handed on")
    else:
        weight, bias = effective(old.fromrgb)[:, :, 0, 0], old.fromrgb.bias
        for level in reversed(above):
            _hand_on(ledger, new.blocks[f"b{level.name}"], weight, bias, old.fromrgb)
            weight, bias = _COLOURS, torch.zeros(_CARRIERS)
        _start_colours(ledger, new.fromrgb)


def _start_colours(ledger: Ledger, fromrgb: EqualizedConv2d) -> None:
    """The first six channels are plus and minus of the colours, the others stay random."""
    how = "plus and minus of each colour, then random"
    weight, bias = ledger.fresh(fromrgb, "weight"), ledger.fresh(fromrgb, "bias")
    weight[:_CARRIERS, :, 0, 0], bias[:_CARRIERS] = _COLOURS / fromrgb.weight_gain, 0.0
    ledger.start(fromrgb, "weight", weight, how)
    ledger.start(fromrgb, "bias", bias, how)


def _hand_on(
    ledger: Ledger,
    block: DiscriminatorBlock,
    weight: Float[Tensor, "O 3"],
    bias: Float[Tensor, " O"],
    source: EqualizedConv2d,
) -> None:
    """A block whose first outputs are ``sqrt(2) lrelu(weight x + bias)`` of the halved colours."""
    how = "hands the halved colours to what was the first layer"
    _pass_carriers(ledger, block.conv0)
    count, conv = len(weight), block.conv1
    # Its own gain is 1, less than that of a first layer by the square root of two.
    taps, offsets = math.sqrt(2) * weight / _PAIR_GAIN, math.sqrt(2) * bias
    kernel, rest = ledger.fresh(conv, "weight"), ledger.fresh(conv, "bias")
    kernel[:count] = 0.0
    kernel[:count, :_CARRIERS, 1, 1] = taps @ _COLOURS.T / conv.weight_gain
    rest[:count] = offsets
    ledger.adapt(conv, "weight", kernel, how, source)
    ledger.adapt(conv, "bias", rest, how, source)
    ledger.start(block.skip, "weight", 0.0, "zero at first")


def _pass_carriers(ledger: Ledger, conv: EqualizedConv2d | StyledConv) -> None:
    """A first convolution whose first six outputs are its first six inputs; with a single tap, demodulated too."""
    how = "passes on its first six channels, then random"
    kernel, bias = ledger.fresh(conv, "weight"), ledger.fresh(conv, "bias")
    gain = kernel[0].numel() ** -0.5 if isinstance(conv, StyledConv) else conv.weight_gain
    kernel[:_CARRIERS], bias[:_CARRIERS] = 0.0, 0.0
    kernel[range(_CARRIERS), range(_CARRIERS), 1, 1] = 1 / gain
    ledger.start(conv, "weight", kernel, how)
    ledger.start(conv, "bias", bias, how)
    if isinstance(conv, StyledConv):
        weight = ledger.fresh(conv.affine, "weight")
        weight[:_CARRIERS] = 0.0
        ledger.start(conv.affine, "weight", weight, how)
        ledger.start(conv.affine, "bias", 1.0, how)
