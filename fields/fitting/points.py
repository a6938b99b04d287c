"""Fits of points: one picture, or samples of a function, becomes one field, which is built for its size.

Shape legend
    N       points of a batch
    D       axes
    C       channels of a value
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor, nn

from datasets.point_datamodule import PointDataModule
from errors import InputError
from fields.fitting.base import Fit
from fields.fitting.point_record import PointRecord
from fields.interface import CHUNK, ranges


def coords_of(positions: Float32[Tensor, "N D"], size: Sequence[int]) -> Float32[Tensor, "N D"]:
    """Coordinates of places in elements, those of elements bit for bit as `fields.coords.mesh` has them.

    Args:
        positions: Element i of an axis is at i.
        size: Elements per axis.
    """
    radii = [1 / n for n in size]
    axes = [-1 + radius + (2 * radius) * positions[:, axis] for axis, radius in enumerate(radii)]
    return torch.stack(axes, dim=1)


class PointFitting(Fit):
    """Fits a field to all points at once by Adam, as CAM's experiments with signals and pictures do.

    A rate stays, or is multiplied at milestones. A fit that collapses goes back to its last good state at half the
    rate, three times.

    Args:
        model: What is fitted, built for the elements per axis: a config names the class and all arguments but the size.
        lr: Learning rate of networks.
        grid_lr: Of grids; None: the same.
        weight_decay: Of networks, decoupled; 0 is Adam.
        grid_weight_decay: Of grids; None: the same.
        milestones: Updates after which rates are multiplied.
        gamma: By what.
        loss_scale: Factor of the mean squared error of the original values (of pictures, in [0, 1]).
        total_updates: Length of the run.
        validate_every: Updates between two measurements; there is one more at the end.
        chunk: Points that are evaluated at once when all are measured.
    """

    data: PointDataModule

    def __init__(
        self,
        model: Callable[[tuple[int, ...]], nn.Module],
        lr: float = 1e-3,
        grid_lr: float | None = None,
        weight_decay: float = 0.0,
        grid_weight_decay: float | None = None,
        milestones: Sequence[int] = (),
        gamma: float = 0.1,
        loss_scale: float = 1.0,
        total_updates: int = 2000,
        validate_every: int = 100,
        chunk: int = CHUNK,
    ) -> None:
        super().__init__(
            lr, grid_lr, weight_decay, grid_weight_decay, total_updates=total_updates, validate_every=validate_every
        )
        if min(chunk, gamma, loss_scale) <= 0:
            raise InputError("model: chunk, gamma and loss_scale must be above 0")
        self.make, self.milestones, self.gamma, self.loss_scale = model, tuple(milestones), gamma, loss_scale
        self.chunk, self.record = chunk, PointRecord()

    def meet(self, data: Any) -> None:
        if not isinstance(data, PointDataModule):
            raise InputError(
                "data: this fit needs points: give a picture or samples, such as datasets.point_datamodule.Picture"
            )
        data.setup("fit")
        size = data.signal.size
        what = " x ".join(map(str, size)) + (" pixels" if len(size) == 2 else " samples")
        self.build(partial(self.make, size), what, size=list(size))

    def loss(self, batch: dict[str, Any]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        signal = self.data.signal
        return self.loss_of(coords_of(batch["positions"], signal.size), batch["values"], signal.unit, signal.span)

    def loss_of(
        self, coords: Float[Tensor, "N D"], values: Float[Tensor, "N C"], unit: float, span: float
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """What is minimised, and the mean squared error brought to values that span 2.

        Args:
            coords: In [-1, 1].
            values: As the field is to give them.
            unit: What a difference of 1 of the original values is in them.
            span: Range of the original values.
        """
        error = F.mse_loss(self.model(coords).to(values.dtype), values) / unit**2
        return self.loss_scale * error, error.detach() * (2 / span) ** 2

    def rate(self, start: float) -> float:
        return start * self.gamma ** sum(update <= self.updates for update in self.milestones)

    @torch.no_grad()
    def everywhere(self) -> Float[Tensor, "N C"]:
        """What the field gives at all points of the signal, within its bounds, on the CPU."""
        signal = self.data.signal
        coords = coords_of(signal.positions.to(self.device), signal.size)
        found = torch.cat([self.model(coords[part]).float().cpu() for part in ranges(len(coords), self.chunk)])
        return found if signal.bounds is None else found.clamp(*signal.bounds)

    def measure(self, complete: bool) -> str | None:
        return self.record.take(self)
