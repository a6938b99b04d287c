"""Fits of scenes: views of a scene become one radiance field, static or moving.

Shape legend
    R       rays of a batch
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from datasets.cameras import directions
from datasets.radiance_datamodule import RadianceDataModule
from datasets.single_signal import draws
from datasets.views import Views
from errors import InputError
from fields.fitting.base import Fit
from fields.fitting.radiance_record import RadianceRecord
from fields.radiance.camera import CHUNK, RadianceField, cast
from fields.radiance.rates import delayed_log_decay
from fields.radiance.rays import Rays


def rays_of(views: Views, pixels: Int64[Tensor, " R"]) -> Rays:
    """Rays of pixels of any of the views.

    Args:
        views: On any device.
        pixels: Their numbers, counted view by view and row by row; the rays lie where they do.
    """
    per_view = views.size[0] * views.size[1]
    view = pixels // per_view
    c2w = views.c2w.to(pixels.device)[view]
    towards = directions(c2w, pixels % per_view, views.size, views.focal)
    times = None if views.times is None else views.times.to(pixels.device)[view]
    return cast(c2w[:, :3, 3], towards, views.focal, views.near, views.far, times, views.unit)


def generator_of(key: tuple[int, ...], device: torch.device) -> torch.Generator:
    """Random numbers that are the same for the same integers.

    Args:
        key: Which.
        device: Where they are drawn.
    """
    word = int(draws(key, torch.zeros(1, dtype=torch.int64)))
    return torch.Generator(device).manual_seed(word)


class RadianceFitting(Fit):
    """Fits a radiance field to the views of a scene by the squared error of the colours of random rays, with Adam.

    Rates fall along a cosine; or, with ``delay_updates``, as those of Mip-NeRF do: exponentially, after a slow start
    at a hundredth.

    Args:
        model: What is fitted; a config names the class and its arguments.
        lr: Learning rate of networks.
        grid_lr: Of grids; None: the same.
        end_lr: What rates fall to.
        delay_updates: Updates of a slow start, after which rates fall exponentially; None: they fall along a cosine.
        coarse_weight: Of the error of all levels but the finest.
        total_updates: Length of the run.
        validate_every: Updates between two measurements; there is one more at the end, of all test views.
        num_while_training: How many test views are measured while training goes on, evenly spread.
        chunk: Rays that are seen at once when views are measured.
        lpips_weights: File of the weights of LPIPS, which is measured at the end where they are there; None: where they
            usually lie.
    """

    data: RadianceDataModule

    def __init__(
        self,
        model: Callable[[], nn.Module],
        lr: float = 2e-3,
        grid_lr: float | None = None,
        end_lr: float = 1e-5,
        delay_updates: int | None = None,
        coarse_weight: float = 0.1,
        total_updates: int = 300,
        validate_every: int = 100,
        num_while_training: int = 8,
        chunk: int = CHUNK,
        lpips_weights: str | None = None,
    ) -> None:
        super().__init__(lr, grid_lr, end_lr=end_lr, total_updates=total_updates, validate_every=validate_every)
        if min(num_while_training, chunk) < 1 or coarse_weight < 0 or end_lr <= 0 or (delay_updates or 0) < 0:
            raise InputError(
                "model: num_while_training, chunk and end_lr must be above 0, coarse_weight and delay_updates not below"
            )
        self.make, self.delay_updates, self.coarse_weight = model, delay_updates, coarse_weight
        self.record = RadianceRecord(num_while_training, chunk, lpips_weights)

    def meet(self, data: Any) -> None:
        if not isinstance(data, RadianceDataModule):
            raise InputError("data: this fitting needs views: give datasets.radiance_datamodule.SphereScene or another")
        data.setup("fit")
        views = data.views
        what = f"{len(views)} views of {views.size[0]}x{views.size[1]}"
        self.build(self.make, what, "give a smaller model")
        if not isinstance(self.model, RadianceField):
            name = type(self.model).__name__
            raise InputError(f"model.model: {name} is no radiance field: give one of fields.radiance")

    def rate(self, start: float) -> float:
        if self.delay_updates is None:
            return super().rate(start)
        return delayed_log_decay(
            self.updates, start, min(self.end_lr, start), self.total_updates, self.delay_updates, delay_factor=0.01
        )

    def loss(self, batch: dict[str, Any]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        rays = rays_of(self.data.views, batch["pixels"])
        # Of this process alone: it looks elsewhere along its rays than the others do.
        jitter = generator_of((self.data.seed, batch["update"], self.global_rank, 2), rays.origins.device)
        levels = self.model.render_rays(rays, jitter, self.data.views.background)
        *coarse, fine = [F.mse_loss(level.rgb.float(), batch["rgb"]) for level in levels]
        return fine + self.coarse_weight * sum(coarse), 4 * fine.detach()

    def measure(self, complete: bool) -> str | None:
        return self.record.take(self, complete)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["scene"] = self.data.views.facts
