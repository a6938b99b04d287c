"""The R1 phase: how the gradient of its penalty comes about.

Shape legend
    B           clips of a micro-batch
    T           frames of a clip
    C, H, W     colours, height, width
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from errors import InputError
from stylegan_v import losses
from stylegan_v.ops.kinks import Kinks
from stylegan_v.recomputing import Recomputed

Judge = Callable[[Tensor], Tensor]
Backpropagate = Callable[[Tensor, bool], None]


class ExactR1:
    """Exact gradient of the R1 penalty: autograd differentiates twice."""

    def __call__(
        self,
        judge: Judge,
        clip: Float[Tensor, "B T C H W"],
        shares: Float[Tensor, " B"] | None,
        backpropagate: Backpropagate,
    ) -> Float[Tensor, ""]:
        """The penalty, after its gradient has been added to those of the discriminator's parameters.

        Args:
            judge: Clips to logits; the same function of them at every call.
            clip: Real clips.
            shares: Weights of the clips; None: all 1.
            backpropagate: Adds the gradient of a scalar; told whether it is the last one.
        """
        clip = clip.detach().requires_grad_()
        logits = judge(clip)
        with torch.autocast(clip.device.type, enabled=False):
            penalty = losses.r1_penalty(logits, clip, shares)
        backpropagate(penalty, True)
        return penalty.detach()

    def check(self, discriminator: nn.Module) -> None:
        """Refuses a discriminator that it cannot differentiate so."""


class DifferencesR1(ExactR1):
    """Gradient of the R1 penalty by central differences: nothing is differentiated twice.

    Two more passes, a step forth and a step back along the slope of the logits, with leaky ReLUs and clamps held on the
    pieces on which the first pass had them. The gradient is the exact one but for the curvature of minibatch standard
    deviation and for rounding, and the penalty that is logged is exact. The phase takes a third more operations than
    `ExactR1`, and two thirds of its memory; it runs in float32 at any precision, since differences in bfloat16 would be
    rounding. So it saves memory in float32 and no time, and it is for a discriminator that torch can differentiate only
    once. `benchmarks/r1.py` shows both side by side.

    Args:
        step: Root mean square of a pixel's way forth or back, pixels being in [-1, 1]. What rounding does falls with
            it, what curvature does grows with its square.
    """

    def __init__(self, step: float = 0.001) -> None:
        if not 0 < step < float("inf"):
            raise InputError(f"model.r1.step is {step}: give a positive number, such as 0.001")
        self.step = step

    def __call__(
        self,
        judge: Judge,
        clip: Float[Tensor, "B T C H W"],
        shares: Float[Tensor, " B"] | None,
        backpropagate: Backpropagate,
    ) -> Float[Tensor, ""]:
        kinks = Kinks()
        clip = clip.detach()
        with torch.autocast(clip.device.type, enabled=False):
            start = clip.clone().requires_grad_()
            with kinks.recorded():
                logits = judge(start)
            (gradient,) = torch.autograd.grad(logits.sum(), start)
            del logits

            def held(moved: Tensor) -> Tensor:
                with kinks.held():
                    return judge(moved)

            parts = losses.r1_differences(held, clip, gradient, self.step, shares)
            backpropagate(next(parts), False)
            backpropagate(next(parts), True)
            return losses.squared_slope(gradient, shares)

    def check(self, discriminator: nn.Module) -> None:
        """Refuses a discriminator whose activations cannot be held.

        Raises:
            InputError: It makes its activations again during the backward pass.
        """
        for module in discriminator.modules():
            if isinstance(module.forward, Recomputed):
                raise InputError(
                    "model.r1: DifferencesR1 cannot hold activations that are made again: give discriminator: false to "
                    "RecomputeActivations, or leave model.r1 out"
                )
