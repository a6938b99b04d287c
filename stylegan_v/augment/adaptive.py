"""The probability of augmentation, led by how sure the discriminator is of real clips (ADA, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn


class AdaptiveProbability(nn.Module):
    """Keeps the share of real clips that the discriminator takes for real, minus the rest, near ``target``.

    Every ``every`` updates p moves by the clips seen since, over ``ada_kclips`` thousands, up where the mean sign of
    D(real) is above ``target`` and down where it is below, within [0, 1]. All that this needs is in the state dict.

    Args:
        target: Wanted mean sign of D(real), in [-1, 1]; None keeps p fixed.
        ada_kclips: Thousands of clips in which p can go from 0 to 1.
        every: Updates between two changes of p.
        p: Where p starts, or stays, in [0, 1].
    """

    p: Tensor
    pending: Tensor
    sums: Tensor
    clips: Tensor
    updates: Tensor

    def __init__(
        self, target: float | None = 0.6, *, ada_kclips: float = 500.0, every: int = 4, p: float = 0.0
    ) -> None:
        super().__init__()
        self.target, self.ada_kclips, self.every = target, ada_kclips, every
        self.register_buffer("p", torch.tensor(float(p)))
        # (sum of signs, count) of D(real): of this rank since the last update, and of all ranks since the last change.
        self.register_buffer("pending", torch.zeros(2))
        self.register_buffer("sums", torch.zeros(2))
        self.register_buffer("clips", torch.zeros((), dtype=torch.long))
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def observe(self, real_logits: Float[Tensor, " B"]) -> None:
        """Notes what the discriminator says of augmented real clips; values that are not finite do not count."""
        finite = real_logits.isfinite()
        signs = torch.where(finite, real_logits.float().sign(), 0.0)
        self.pending += torch.stack([signs.sum(), finite.sum().float()])

    @torch.no_grad()
    def update(self, num_clips: int, reduce: Callable[[Tensor], Tensor] | None = None) -> None:
        """Counts one update and, every so many, moves p.

        Args:
            num_clips: Real clips of the global batch.
            reduce: Adds a tensor up over ranks, so that p is the same on all of them and the checkpoint of one rank is
                complete. Called at every update.
        """
        self.sums += self.pending if reduce is None else reduce(self.pending)
        self.pending.zero_()
        self.clips += num_clips
        self.updates += 1
        if self.updates % self.every == 0:
            self._adjust()
            self.sums.zero_()
            self.clips.zero_()

    def _adjust(self) -> None:
        sign_sum, count = self.sums
        if self.target is None or count == 0:
            return
        direction = torch.sign(sign_sum / count - self.target)
        self.p.add_(direction * self.clips / (1000 * self.ada_kclips)).clamp_(0, 1)
