"""The generator: blocks by their resolution, labels, motion; frames stay what they were wherever that is possible."""

from __future__ import annotations

import torch
from torch import nn

from stylegan_v.networks import Generator, LSTMMotion, Motion, MotionEncoder
from stylegan_v.networks.synthesis import SynthesisBlock, SynthesisNetwork, ToRGB
from stylegan_v.transfer.inputs import Inputs, joined, labels, same, unrelated
from stylegan_v.transfer.layers import layer, mlp, styled
from stylegan_v.transfer.ledger import Ledger


def fill_generator(ledger: Ledger, new: Generator, old: Generator) -> None:
    """Fills a generator from another."""
    mlp(ledger, new.mapping, old.mapping, labels(old.c_dim, new.c_dim))
    moves_alike = fill_motion(ledger, new.synthesis.motion, old.synthesis.motion)
    fill_synthesis(ledger, new.synthesis, old.synthesis, moves_alike)
    fill_modulation(ledger, new.synthesis, old.synthesis, moves_alike)
    fill_decoder(ledger, new, old)


# Motion


def fill_motion(ledger: Ledger, new: Motion, old: Motion) -> bool:
    """Fills a motion network; one of another kind starts anew.

    Returns:
        Whether the embedding of a frame means what it meant.
    """
    if type(new) is not type(old):
        ledger.anew(new, f"the source has {type(old).__name__}")
        return False
    if isinstance(new, MotionEncoder):
        return _fill_encoder(ledger, new, old)
    if isinstance(new, LSTMMotion):
        return _fill_recurrence(ledger, new, old)
    return ledger.take(new, old)


def _fill_encoder(ledger: Ledger, new: MotionEncoder, old: MotionEncoder) -> bool:
    noise = joined(same(old.z_dim), labels(old.c_dim, new.c_dim))
    alike = layer(ledger, new.conv[0], old.conv[0], noise)
    alike &= ledger.take(new.conv[1], old.conv[1])
    encoding, source = new.time_encoder, old.time_encoder
    predictors = dict(source.named_children())
    for name, predictor in encoding.named_children():
        alike &= ledger.take(predictor, predictors.get(name, source))
    if alike:
        _fill_frequencies(ledger, encoding, source)
        ledger.notes += _other_speeds(new, old)
    return alike


def _fill_frequencies(ledger: Ledger, new: nn.Module, old: nn.Module) -> None:
    """Frequencies as the source has them, to the last bit, unless the config asks for others."""
    known = dict(old.named_buffers(recurse=False))
    names = [name for name, _ in new.named_buffers(recurse=False) if name in known]
    if all(torch.allclose(ledger.fresh(new, name), known[name], rtol=1e-4) for name in names):
        ledger.take(new, old, names)
    else:
        ledger.anew(new, "follows the config")
        ledger.notes.append("motion.min_period or max_period differs from the source: motion runs at another speed")


def _other_speeds(new: MotionEncoder, old: MotionEncoder) -> list[str]:
    notes = []
    if new.distance != old.distance:
        notes.append(f"motion.distance was {old.distance} and is {new.distance}: motion runs at another speed")
    if type(new.time_encoder) is not type(old.time_encoder):
        kinds = [type(side.time_encoder).__name__ for side in (old, new)]
        notes.append(f"time was encoded by {kinds[0]} and is by {kinds[1]}: motion has to be learned again in part")
    return notes


def _fill_recurrence(ledger: Ledger, new: LSTMMotion, old: LSTMMotion) -> bool:
    noise = joined(same(old.z_dim), labels(old.c_dim, new.c_dim))
    alike = _fill_lstm(ledger, new.rnn, old.rnn, noise)
    return mlp(ledger, new.mapping, old.mapping, labels(old.c_dim, new.c_dim)) and alike


def _fill_lstm(ledger: Ledger, new: nn.LSTM, old: nn.LSTM, inputs: Inputs) -> bool:
    weight = old.weight_ih_l0
    if inputs.unchanged or len(weight) != len(new.weight_ih_l0) or inputs.matrix.shape[0] != weight.shape[1]:
        return ledger.take(new, old)
    ledger.adapt(new, "weight_ih_l0", inputs.columns(weight), inputs.how, old)
    ledger.adapt(new, "bias_ih_l0", old.bias_ih_l0 + inputs.offset(weight), inputs.how, old)
    return ledger.take(new, old, ["weight_hh_l0", "bias_hh_l0"])


# Synthesis


def fill_synthesis(ledger: Ledger, new: SynthesisNetwork, old: SynthesisNetwork, moves_alike: bool) -> None:
    """Fills a synthesis network.

    Args:
        ledger: Where it is entered.
        new: What is filled.
        old: The source.
        moves_alike: Whether the embedding of a frame means what it meant; otherwise it starts without effect.
    """
    ledger.take(new, old, ["const"])
    base = same(old.const.shape[1])
    first = joined(base, _embedding(new, old, moves_alike, *(side.motion_input for side in (new, old))))
    in_styles = [side.time_conditioning == "concat_w" for side in (new, old)]
    w_dim = old.blocks[f"b{old.levels[0].name}"].torgb.affine.weight.shape[1] - in_styles[1] * old.motion.out_dim
    styles = joined(same(w_dim), _embedding(new, old, moves_alike, *in_styles))

    # Features are sound up to the first convolution that starts anew; what is drawn from others starts at nothing.
    if "sum_w" in {new.time_conditioning, old.time_conditioning} and new.time_conditioning != old.time_conditioning:
        ledger.notes.append("time is added to every style in one of the two networks only: frames change with it")
    sound = began_sound = True
    for number, (name, block) in enumerate(new.blocks.items()):
        source = _counterpart(new, old, name)
        if source is None:
            sound = False
            ledger.anew(block, "a resolution that the source does not have")
        else:
            sound &= _fill_convs(ledger, block, source, None if number else first, styles)
            _fill_torgb(ledger, block.torgb, source.torgb, styles)
        began_sound &= sound or number > 0
        if began_sound and not sound:
            _blank(ledger, block.torgb)


def _embedding(new: SynthesisNetwork, old: SynthesisNetwork, alike: bool, enters: bool, entered: bool) -> Inputs:
    """The embedding of a frame where it enters a layer: as it was, or with weights that start at zero."""
    num_old, num_new = old.motion.out_dim * entered, new.motion.out_dim * enters
    if alike and num_old == num_new:
        return same(num_old)
    return unrelated(num_old, num_new, f"{num_old} -> {num_new} channels of motion, starting at zero")


def _counterpart(new: SynthesisNetwork, old: SynthesisNetwork, name: str) -> SynthesisBlock | None:
    """The block of the same resolution and the same place: the first block has no convolution that doubles."""
    if name in old.blocks and len(old.blocks[name].convs) == len(new.blocks[name].convs):
        return old.blocks[name]
    return None


def _fill_convs(ledger: Ledger, new: SynthesisBlock, old: SynthesisBlock, first: Inputs | None, styles: Inputs) -> bool:
    results = []
    for number, (conv, source) in enumerate(zip(new.convs, old.convs, strict=True)):
        channels = same(source.weight.shape[1]) if first is None or number else first
        results.append(styled(ledger, conv, source, channels, styles))
    return all(results)


def _fill_torgb(ledger: Ledger, new: ToRGB, old: ToRGB, styles: Inputs) -> None:
    if new.weight.shape != old.weight.shape:
        ledger.take(new, old)
    else:
        layer(ledger, new.affine, old.affine, styles)
        ledger.take(new, old, ["weight", "bias"])


def _blank(ledger: Ledger, torgb: ToRGB) -> None:
    """Adds nothing to the frames until it has learned to: they are those of the blocks before, enlarged."""
    for name in ("weight", "bias"):
        ledger.start(torgb, name, 0.0, "zero: adds nothing at first")


# Temporal modulation


def fill_modulation(ledger: Ledger, new: SynthesisNetwork, old: SynthesisNetwork, moves_alike: bool) -> None:
    """Fills what scales and shifts features in time; where the source has none, or another, it starts without effect.

    Args:
        ledger: Where it is entered.
        new: What is filled.
        old: The source.
        moves_alike: Whether motion codes mean what they meant.
    """
    if new.temporal_modulation is None:
        return
    if old.temporal_modulation is None:
        for module in (new.temporal_modulation, new.modulation_bases):
            ledger.anew(module, "not in the source: starts without effect")
        return
    sizes = [(side.temporal_modulation.num_knots, side.temporal_modulation.rank) for side in (new, old)]
    if not moves_alike or sizes[0] != sizes[1] or not ledger.take(new.temporal_modulation, old.temporal_modulation):
        ledger.anew(new.temporal_modulation, "other motion codes or grids: starts without effect")
        ledger.anew(new.modulation_bases, "other motion codes or grids: starts without effect")
        return
    for name, bases in new.modulation_bases.items():
        if _counterpart(new, old, name) is None:
            ledger.anew(bases, "a resolution that the source does not have")
        else:
            ledger.take(bases, old.modulation_bases[name])


# Decoder


def fill_decoder(ledger: Ledger, new: Generator, old: Generator) -> None:
    """Fills what draws at any size; where the source has none, or one for other features, it starts without effect."""
    if new.decoder is None:
        return
    if old.decoder is None:
        ledger.anew(new.decoder, "not in the source: starts without effect")
        return
    alike = type(new.decoder) is type(old.decoder) and new.decoder.inputs == old.decoder.inputs
    if not alike or not ledger.take(new.decoder, old.decoder):
        ledger.anew(new.decoder, "another decoder, or for other features: starts without effect")
