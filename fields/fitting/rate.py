"""Fits of videos for their rate: quality and the bits of the file are weighed against each other while it is fitted.

While it goes, noise as wide as a step stands for rounding, so that steps and distributions are learned as well (Balle
et al., ICLR 2017); in the last part numbers are rounded, and the derivative of rounding is taken for that of the
identity. What is measured, and what a checkpoint holds as the field, is rounded: what the file decodes to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from errors import InputError
from fields.fitting.base import with_arguments
from fields.fitting.guard import State
from fields.fitting.record import FitRecord
from fields.fitting.video import FieldFitting, from_bytes, points_of
from fields.interface import CHUNK, parameter_groups
from fields.rate.model import GROUP, RateModel, rounded
from fields.weights import StoredField


class RateRecord(FitRecord):
    """Measures the field that the file decodes to, and the file itself."""

    def _keep(self, fitting: RateFitting, line: dict[str, Any], shown: dict[int, Any]) -> None:
        line |= fitting.coded()
        super()._keep(fitting, line, shown)


class RateFitting(FieldFitting):
    """Fits a field of points to a video and to a small file, whose every number is rounded in steps that are learned.

    Args:
        model: What is fitted, built for frames, height and width: a config names the class and all arguments but the
            size.
        rate_weight: How much squared error of values in [-1, 1] a bit per pixel is worth; the more, the smaller the
            file.
        lr: Learning rate of networks.
        grid_lr: Of grids.
        rate_lr: Of logarithms of steps and of the widths of distributions.
        round_after: Part of the run after which numbers are rounded.
        log2_steps: Where the logarithms of the steps of grids and of weights start.
        end_lr: What rates fall to.
        total_updates: Length of the run.
        validate_every: Updates between two measurements; there is one more at the end, of all frames.
        num_while_training: How many frames are measured while training goes on, evenly spread.
        chunk: Pixels that are evaluated at once when frames are measured.
    """

    def __init__(
        self,
        model: Callable[[tuple[int, int, int]], nn.Module],
        rate_weight: float,
        lr: float = 1e-2,
        grid_lr: float = 4e-2,
        rate_lr: float = 1e-2,
        round_after: float = 0.8,
        log2_steps: tuple[float, float] = (-4.0, -6.0),
        end_lr: float = 1e-5,
        total_updates: int = 2000,
        validate_every: int = 500,
        num_while_training: int = 8,
        chunk: int = CHUNK,
    ) -> None:
        super().__init__(
            model,
            lr=lr,
            grid_lr=grid_lr,
            end_lr=end_lr,
            total_updates=total_updates,
            validate_every=validate_every,
            num_while_training=num_while_training,
            chunk=chunk,
        )
        if rate_weight < 0 or rate_lr <= 0 or not 0 <= round_after < 1:
            raise InputError("model: rate_weight must be at least 0, rate_lr above 0, round_after in [0, 1)")
        self.rates["steps"], self.decays["steps"] = rate_lr, 0.0
        self.rate_weight, self.round_after, self.log2_steps = rate_weight, round_after, log2_steps
        self.record = RateRecord(num_while_training, chunk)
        self.coding: RateModel | None = None

    def meet(self, data: Any) -> None:
        super().meet(data)
        if data.whole_frames:
            raise InputError("model.model: a field of whole frames cannot be fitted for its rate: give one of points")
        if self.coding is None:
            self.coding = RateModel(self.model, *self.log2_steps)

    # The algorithm.

    @property
    def rounds(self) -> bool:
        """Whether this update rounds, and adds no noise."""
        return self.updates >= self.round_after * self.total_updates

    @property
    def num_pixels(self) -> int:
        """Of the whole video."""
        frames, height, width = self.data.signal.size
        return frames * height * width

    def loss(self, batch: dict[str, Any]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        noise = None if self.rounds else (self.data.seed, self.updates)
        tensors, bits = self.coding(dict(self.model.named_parameters()), noise)
        signal, rate = self.data.signal, bits / self.num_pixels
        points = points_of(batch["pixels"], signal.size, signal.every)
        error = F.mse_loss(functional_call(self.model, tensors, (points,)).float(), from_bytes(batch["rgb"]))
        self.log("bits_per_pixel", rate.detach(), prog_bar=True)
        return error + self.rate_weight * rate, error.detach()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        groups = [*parameter_groups(self.model), {"name": "steps", "params": list(self.coding.parameters())}]
        return self.build_optimizer(
            [group | {"lr": self.rates[group["name"]], "weight_decay": 0.0} for group in groups]
        )

    def watch(self, error: Tensor) -> None:
        before = self.guard.restores
        super().watch(error)
        if self.guard.restores > before:
            self.coding.load_state_dict(self.guard.good["coding"])

    def _state(self) -> State:
        return super()._state() | {"coding": self.coding.state_dict()}

    # The field as it comes out of its file.

    def rounded_state(self) -> dict[str, Tensor]:
        """Tensors of the field, the trained ones rounded."""
        steps, state = self.coding.steps(), {name: one.detach() for name, one in self.model.state_dict().items()}
        return state | {one.name: rounded(one, state[one.name], steps[one.name]) for one in self.coding.groupings}

    @contextmanager
    def rounding(self) -> Iterator[None]:
        """The field itself is what comes out of its file, for as long as this lasts."""
        kept = {name: one.detach().clone() for name, one in self.model.state_dict().items()}
        self.model.load_state_dict(self.rounded_state())
        try:
            yield
        finally:
            self.model.load_state_dict(kept)

    def measure(self, complete: bool) -> str | None:
        with self.rounding():
            return super().measure(complete)

    @torch.no_grad()
    def coded(self) -> dict[str, float]:
        """Bits of the file of the state at hand, those of its parts alone, and what was expected of these.

        Without a config of the run (as the command gives it) there is no whole file to be counted.
        """
        from fields.codec.coding import Settings, describe, encode
        from fields.codec.rated import write_parts

        state = {name: one.cpu() for name, one in self.rounded_state().items()}
        steps = {name: one.cpu() for name, one in self.coding.steps().items()}
        expected = self.coding(dict(self.model.named_parameters()), None)[1]
        found = {"expected_bits": float(expected)}
        texts = [callback.text for callback in self.trainer.callbacks if hasattr(callback, "text")]
        if not texts:
            parts = write_parts(self.model, state, steps, GROUP)
            return found | {"payload_bits": float(8 * sum(len(part.data) for part in parts))}
        node = yaml.safe_load(with_arguments(texts[0], self._arguments))["model"]["init_args"]["model"]
        file = encode(StoredField(Path(), node, state, {"updates": self.updates}, steps), Settings(group=GROUP))
        report = describe(file, Path())
        bits = {name: float(report[name]) for name in ("bits", "payload_bits", "container_bits")}
        return found | bits | {"bits_per_pixel": report["bits"] / self.num_pixels}

    # What Lightning calls.

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        state = checkpoint["state_dict"]
        checkpoint["unrounded"] = {name: state[f"model.{name}"] for name in self.coding.steps()}
        # Whoever reads the field of a run reads what its file decodes to.
        state |= {f"model.{name}": tensor for name, tensor in self.rounded_state().items()}
        checkpoint["steps"] = dict(self.coding.steps())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        state = checkpoint["state_dict"]
        for name, tensor in checkpoint["unrounded"].items():
            state[f"model.{name}"] = tensor
