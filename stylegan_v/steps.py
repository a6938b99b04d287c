"""One step of one optimiser: gathered gradients, checked on the device, applied or left out; and moving averages."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.optim import Optimizer

from errors import InputError

logger = logging.getLogger(__name__)

_SHARED = frozenset(("mapping", "motion", "temporal_modulation"))  # modules whose results enter many layers


class AdversarialAdam(torch.optim.Adam):
    """Adam with the settings of adversarial training; fused, so that a step is left out without asking the host.

    Args:
        params: What it moves.
        lr: Learning rate, before any correction; 0.002 suits frames of 1024 pixels.
        betas: Decay of the running means of gradient and squared gradient, [0, 1).
        eps: Added to the root of the latter.
        fused: Whether a step is one kernel.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.0025,
        betas: tuple[float, float] = (0.0, 0.99),
        eps: float = 1e-8,
        fused: bool = True,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, fused=fused)


class Means(dict[str, Tensor]):
    """Values of an update by name, each the mean over its micro-batches.

    Args:
        num_micro_batches: How many calls of `record` make up the mean.
    """

    def __init__(self, num_micro_batches: int) -> None:
        super().__init__()
        self.num_micro_batches = num_micro_batches

    def record(self, values: Mapping[str, Tensor]) -> None:
        """Adds one micro-batch; values are detached and kept in float32."""
        for name, value in values.items():
            share = value.detach().float() / self.num_micro_batches
            self[name] = self[name] + share if name in self else share


def gradients_of(optimizer: Optimizer) -> list[Tensor]:
    """The gradients of all parameters of an optimiser, zero for those that no loss has reached.

    With a zero instead of nothing, every parameter sees the same number of steps whichever phases reach it, and every
    rank reduces the same list.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    return [parameter.grad for parameter in parameters]


def in_order_of_use(optimizer: Optimizer) -> list[Tensor]:
    """The parameters of an optimiser about as a forward pass uses them: those that all layers share, then the others.

    The generator holds its mapping network, and what time becomes, behind or between the blocks that they feed.
    """
    named = [
        (name, parameter)
        for group in optimizer.param_groups
        for name, parameter in zip(group["param_names"], group["params"], strict=True)
    ]
    return [parameter for _, parameter in sorted(named, key=lambda pair: _SHARED.isdisjoint(pair[0].split(".")))]


def gradient_norm(gradients: list[Tensor]) -> Float[Tensor, ""]:
    """Euclidean norm of all gradients together; not finite where any of them is not."""
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))


def all_finite(*values: Tensor) -> Bool[Tensor, ""]:
    """Whether every element of all values is finite, as a tensor on their device."""
    return torch.cat([value.reshape(-1) for value in values]).isfinite().all()


def step_if(finite: Bool[Tensor, ""], optimizer: Optimizer, wrapped: Optimizer | None = None) -> None:
    """Applies the optimiser where ``finite`` is true and leaves parameters and state alone where it is not.

    Fused optimisers decide on the device (the flag a gradient scaler uses); others make the host wait for the flag.

    Args:
        finite: The decision.
        optimizer: The torch optimiser.
        wrapped: What to call ``step`` of, if that is not ``optimizer`` itself (Lightning's wrapper).
    """
    if optimizer.defaults.get("fused"):
        optimizer.grad_scale, optimizer.found_inf = None, (~finite).float()
        (wrapped or optimizer).step()
        del optimizer.grad_scale, optimizer.found_inf
    elif finite:
        (wrapped or optimizer).step()


@torch.no_grad()
def move_average(average: nn.Module, current: nn.Module, beta: float) -> None:
    """Moves a module's parameters towards those of another of the same kind and copies its buffers.

    Args:
        average: What moves.
        current: Where to.
        beta: Share of the old value that stays, [0, 1].
    """
    torch._foreach_lerp_(list(average.parameters()), list(current.parameters()), 1 - beta)
    if buffers := list(average.buffers()):
        torch._foreach_copy_(buffers, list(current.buffers()))


class DivergenceGuard:
    """Reports skipped steps and stops a run that does nothing else.

    Args:
        max_bad_updates: So many skipped steps of one phase in a row end the run.
    """

    def __init__(self, max_bad_updates: int) -> None:
        self.max_bad_updates = max_bad_updates
        self.bad_in_a_row: dict[str, int] = {}

    def check(self, update: int, finite: Mapping[str, bool]) -> None:
        """Takes note of an update.

        Args:
            update: Its number, for the report.
            finite: Whether the step was taken, for each phase that ran.

        Raises:
            InputError: A phase was skipped ``max_bad_updates`` times in a row.
        """
        for phase, good in finite.items():
            self.bad_in_a_row[phase] = 0 if good else self.bad_in_a_row.get(phase, 0) + 1
            if good:
                continue
            logger.warning("update %d: loss or gradient of phase %s is not finite, step skipped", update, phase)
            if self.bad_in_a_row[phase] >= self.max_bad_updates:
                raise InputError(
                    f"training diverged: loss or gradient of phase {phase} was not finite for "
                    f"{self.bad_in_a_row[phase]} updates in a row, the last at update {update}; continue from an "
                    f"earlier checkpoint with a lower learning rate or a larger model.r1_gamma, or train in float32"
                )
