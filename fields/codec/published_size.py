"""The size that FFNeRV and CAM report of a video, for comparison with their figures: an estimate, not a file.

Symbols of all steps of the network share one Huffman code; those of both heads count whole bytes. The code's table, and
whatever else a decoder would have to know, is not counted. What a file takes is `fields.codec.coding.describe`.
"""

from __future__ import annotations

from collections import Counter

from errors import InputError
from fields.codec.huffman import average_bits
from fields.codec.symbols import quantisers, to_steps
from fields.ffnerv import FFNeRV

_HEADS = ("network.flow_head.", "network.frame_head.")


def published_bits(field: FFNeRV) -> float:
    """Bits as the program counts them, ``n average_bits + n_heads head_bits`` (CAM, Lee et al. 2024; not pruned).

    Args:
        field: Trained in steps.

    Raises:
        InputError: If it was not.
    """
    parameters, found = dict(field.named_parameters()), quantisers(field)
    if parameters.keys() != found.keys():
        raise InputError("published_bits: the network has parameters that are not quantised: train it with bits")
    counts: Counter[int] = Counter()
    of_heads = 0
    for name, quantiser in found.items():
        if name.startswith(_HEADS):
            of_heads += quantiser.bits * parameters[name].numel()
        else:
            counts.update(to_steps(parameters[name].detach(), quantiser)[0].flatten().tolist())
    ordered = [count for _, count in sorted(counts.items())]
    return sum(ordered) * average_bits(ordered) + of_heads
