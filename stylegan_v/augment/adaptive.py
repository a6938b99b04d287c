"""The probability of augmentation, led by how sure the discriminator is of real clips (ADA, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError


class AdaptiveProbability(nn.Module):
    """Keeps the share of real clips that the discriminator takes for real, minus the rest, near ``target``.

    Every ``every`` updates p moves by the clips seen since, over ``ada_kclips`` thousands, up where the mean sign of
    D(real) is above ``target`` and down where it is below, within [0, 1]. All that this needs is in the state dict.

    Args:
        target: Wanted mean sign of D(real), in [-1, 1]; None keeps p fixed.
        ada_kclips: Thousands of clips in which p can go from 0 to 1.
        every: Updates between two changes of p.
        p: Where p starts, or stays, in [0, 1].
        warmup_kclips: Thousands of clips before p first moves: a discriminator that was trained on other videos is not
            sure of these yet, whether it has too few of them or not.

    Raises:
        InputError: A number is out of its range.
    """

    p: Tensor
    pending: Tensor
    sums: Tensor
    clips: Tensor
    updates: Tensor

    def __init__(
        self,
        target: float | None = 0.6,
        *,
        ada_kclips: float = 500.0,
        every: int = 4,
        p: float = 0.0,
        warmup_kclips: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise InputError(f"ada.p is {p}: give a probability between 0 and 1")
        if every < 1 or ada_kclips <= 0:
            raise InputError(f"ada.every is {every}, ada.ada_kclips is {ada_kclips}: both must be positive")
        if warmup_kclips < 0:
            raise InputError(f"ada.warmup_kclips is {warmup_kclips}: give 0 or more")
        self.target, self.ada_kclips, self.every, self.warmup_kclips = target, ada_kclips, every, warmup_kclips
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
        # Without a branch: the host does not wait for the device.
        due = self.updates % self.every == 0
        self._adjust(due & (self.updates * num_clips > 1000 * self.warmup_kclips))
        self.sums.mul_(~due)
        self.clips.mul_(~due)

    def _adjust(self, due: Tensor) -> None:
        if self.target is None:
            return
        sign_sum, count = self.sums
        step = torch.sign(sign_sum / count - self.target) * self.clips / (1000 * self.ada_kclips)
        self.p.add_(torch.where(due & (count > 0), step, 0.0)).clamp_(0, 1)
