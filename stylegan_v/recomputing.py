"""Activations of blocks thrown away after the forward pass, and made again when a backward pass asks for them.

Time for memory: each block runs once more, a third of the operations of its training; only what passes between blocks
stays. R1 and path length differentiate twice: the graph of their first derivatives holds what was made again, so they
save less, and are the phases that need most memory then; `VideoGAN.num_micro_batches` makes all phases smaller.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class Recomputed:
    """The forward pass of a block that keeps its arguments alone.

    Args:
        forward: Of the block; draws no random numbers, or the second pass would not be the first.
    """

    def __init__(self, forward: Callable[..., object]) -> None:
        self.forward = forward

    def __call__(self, *args: object) -> object:
        if not torch.is_grad_enabled():
            return self.forward(*args)
        return checkpoint(self.forward, *args, use_reentrant=False, preserve_rng_state=False)


def recompute(blocks: nn.ModuleDict) -> None:
    """Lets blocks throw away their activations; names of parameters stay, gradients do, bit for bit.

    Args:
        blocks: Of a synthesis network or a discriminator; those that do so already are left alone.
    """
    for block in blocks.values():
        if not isinstance(block.forward, Recomputed):
            block.forward = Recomputed(block.forward)
