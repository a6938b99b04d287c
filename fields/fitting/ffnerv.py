"""Fits of FFNeRV: how its authors train it, and with CAM.

Shape legend
    F       frames
    H, W    height and width
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from errors import InputError
from fields.ffnerv import FFNeRV
from fields.fitting.video import FieldFitting, frame_loss, from_bytes, moments_of
from fields.interface import CHUNK
from fields.nerv_training import rate_factor


class FFNeRVFitting(FieldFitting):
    """Fits an FFNeRV to a video by Adam, with a rate that rises, then falls along a cosine (Lee et al. 2023, 4.1).

    An update sees whole frames, one at a time in all published settings. The loss is NeRV's of the final frames, and
    of the independent and the aggregated frames that these are mixed of, with a small weight. A network with ``bits``
    is quantised from the first update on. A fit that collapses goes back to its last good state at half the rate.

    Args:
        model: What is fitted, built for frames, height and width: a config names the class and all arguments but the
            size.
        lr: Largest learning rate, of networks.
        grid_lr: Of latents and knots of CAM; None: the same.
        betas: Of Adam.
        total_updates: Length of the run.
        warmup_share: Of the run, in which the rate rises from a tenth.
        part_weight: Of the losses of independent and of aggregated frames.
        validate_every: Updates between two measurements; there is one more at the end, of all frames.
        num_while_training: How many frames are measured while training goes on, evenly spread.
        chunk: Pixels that are evaluated at once when frames are measured.
        lpips_weights: File of the weights of LPIPS, which is measured at the end where they are there; None: where they
            usually lie.
    """

    def __init__(
        self,
        model: Callable[[tuple[int, int, int]], FFNeRV],
        lr: float = 5e-4,
        grid_lr: float | None = None,
        betas: tuple[float, float] = (0.5, 0.999),
        total_updates: int = 2000,
        warmup_share: float = 0.2,
        part_weight: float = 0.1,
        validate_every: int = 500,
        num_while_training: int = 8,
        chunk: int = CHUNK,
        lpips_weights: str | None = None,
    ) -> None:
        rates = {"lr": lr, "grid_lr": grid_lr, "end_lr": 0.0}
        measures = {"num_while_training": num_while_training, "chunk": chunk, "lpips_weights": lpips_weights}
        super().__init__(model, **rates, total_updates=total_updates, validate_every=validate_every, **measures)
        if not 0 <= warmup_share < 1 or part_weight < 0 or not all(0 <= beta < 1 for beta in betas):
            raise InputError("model: warmup_share and betas must be in [0, 1), part_weight at least 0")
        self.betas, self.warmup_share, self.part_weight = tuple(betas), warmup_share, part_weight

    def rate(self, start: float) -> float:
        return start * rate_factor(self.updates, self.total_updates, self.warmup_share * self.total_updates)

    def build_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.Adam(groups, betas=self.betas)

    def loss(self, batch: dict[str, Any]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        target, visible, signal = from_bytes(batch["rgb"]), batch.get("visible"), self.data.signal
        parts = self.model.parts(moments_of(batch["frames"], signal.size[0], signal.every))
        loss, error = frame_loss(2 * parts.final - 1, target, visible)
        for frames in (parts.independent, parts.aggregated):
            loss = loss + self.part_weight * frame_loss(2 * frames - 1, target, visible)[0]
        return loss, error
