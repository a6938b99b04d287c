"""Random draws that are functions of their address, not of the order in which they are made.

Every draw of training for clip ``n`` of the global batch is addressed by (seed, update, phase, n, name), so any rank,
micro-batch or device that asks for it gets the same numbers, and a resumed run draws what the whole run would have.

Shape legend
    B       clips of this rank's (micro-)batch
"""

from __future__ import annotations

import math
import zlib
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor

_MASK = 0xFFFFFFFF
# Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, table 2 and section 3.3).
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


@runtime_checkable
class RandomSource(Protocol):
    """Named draws for a batch of clips; the first axis of every draw is the clip."""

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Uniform draws in [0, 1), float64 [B, *shape]."""

    def normal(self, name: str, *shape: int) -> Tensor:
        """Standard normal draws, float32 [B, *shape]."""


class GlobalRandom:
    """Draws from torch's global generator; names are ignored.

    Args:
        batch: Number of clips B.
        device: Where the draws live.
    """

    def __init__(self, batch: int, device: torch.device | str = "cpu") -> None:
        self.batch, self.device = batch, device

    def on_host(self) -> GlobalRandom:
        """Other draws of the same kind, from the generator of the host."""
        return GlobalRandom(self.batch)

    def uniform(self, name: str, *shape: int) -> Tensor:
        return torch.rand(self.batch, *shape, dtype=torch.float64, device=self.device)

    def normal(self, name: str, *shape: int) -> Tensor:
        return torch.randn(self.batch, *shape, device=self.device)


class AddressedRandom:
    """Draws addressed by (seed, update, phase, clip, name): counter-based, the same on every device.

    Args:
        seed: Of the run; any integer, taken modulo 2^32.
        update: Number of the update the draws are for.
        phase: Name of the phase within the update ("generator", "discriminator", ...).
        clips: Numbers of the clips in the global batch; their device is where the draws live.
        known: The same numbers on the host, where it has them; else `on_host` asks the device for them.
    """

    def __init__(
        self, seed: int, update: int, phase: str, clips: Int64[Tensor, " B"], known: Int64[Tensor, " B"] | None = None
    ) -> None:
        self.seed, self.update, self.phase, self.clips = seed & _MASK, update & _MASK, phase, clips
        self.known = known

    def on_host(self) -> AddressedRandom:
        """The same draws, on the host."""
        clips = self.clips.cpu() if self.known is None else self.known
        return AddressedRandom(self.seed, self.update, self.phase, clips, clips)

    def uniform(self, name: str, *shape: int) -> Tensor:
        words = self._words(name, math.prod(shape), per_element=2)
        # 53 random bits, the precision of a double.
        bits = ((words[..., 0] >> 5) << 26) | (words[..., 1] >> 6)
        return (bits.double() * 2.0**-53).view(len(self.clips), *shape)

    def normal(self, name: str, *shape: int) -> Tensor:
        count = math.prod(shape)
        num_pairs = (count + 1) // 2
        words = self._words(name, 2 * num_pairs, per_element=1).unflatten(1, (num_pairs, 2)).double()
        # Box-Muller: two words give two independent normals; + 1 keeps the logarithm finite.
        radius = torch.sqrt(-2 * torch.log((words[..., 0] + 1) * 2.0**-32))
        angle = words[..., 1] * (2 * math.pi * 2.0**-32)
        pairs = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], dim=2).flatten(1)
        return pairs[:, :count].float().view(len(self.clips), *shape)

    def _words(self, name: str, count: int, per_element: int) -> Tensor:
        """32-bit words as int64, [B, count, per_element]; element i does not depend on ``count``."""
        num_counters = -(-count * per_element // 4)
        index = torch.arange(num_counters, device=self.clips.device).expand(len(self.clips), -1)
        stream = zlib.crc32(f"{self.phase}/{name}".encode())
        words = torch.stack(philox((index, self.clips[:, None], self.update, 0), (self.seed, stream)), dim=2)
        words = words.flatten(1)[:, : count * per_element].unflatten(1, (count, per_element))
        return words if per_element > 1 else words.squeeze(2)


def on_host(source: RandomSource) -> RandomSource:
    """A source of draws on the host, where it is one of this file's; other sources are what they are."""
    return source.on_host() if isinstance(source, (AddressedRandom, GlobalRandom)) else source


def philox(
    counter: tuple[Tensor | int, Tensor | int, int, int], key: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Four random 32-bit words per counter: Philox4x32-10 in int64 arithmetic, elementwise on the counter's tensors.

    Args:
        counter: Four words in [0, 2^32); tensors are int64 and broadcast together.
        key: Two words in [0, 2^32).

    Returns:
        Four int64 tensors with values in [0, 2^32).
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = _product(c0, _MULTIPLIERS[0]), _product(c2, _MULTIPLIERS[1])
        c0, c1, c2, c3 = p1[0] ^ c1 ^ k0, p1[1], p0[0] ^ c3 ^ k1, p0[1]
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


def _product(word: Tensor | int, multiplier: int) -> tuple[Tensor | int, Tensor | int]:
    """High and low half of a 32 x 32 bit product; int64 wraps around, its bits are those of the unsigned product."""
    product = word * multiplier
    return (product >> 32) & _MASK, product & _MASK
