"""The algorithm of a fit, whatever it is fitted to: updates, rates, the return from a collapse, what is kept of it."""

from __future__ import annotations

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
import yaml
from jaxtyping import Float
from pytorch_lightning import LightningDataModule, LightningModule
from pytorch_lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor, nn

from errors import InputError
from fields.fitting.grid_pictures import show_grids
from fields.fitting.guard import CollapseGuard, State, copied, cosine_rate
from fields.fitting.memory import built_within_memory, check_memory
from fields.interface import parameter_groups


class Fit(LightningModule):
    """Fits a field by AdamW with a rate that falls along a cosine.

    A subclass says what data it takes (`meet`, which calls `build`), what is minimised (`loss`) and what is measured
    and shown (`measure`). Another optimiser is another `build_optimizer`, other rates are another `rate`. A fit that
    collapses goes back to its last good state at half the rate, three times.

    The data module has ``start_update``: the update whose batch comes first.

    Args:
        lr: Learning rate of networks.
        grid_lr: Of grids; None: the same.
        weight_decay: Of networks.
        grid_weight_decay: Of grids; None: the same.
        end_lr: What rates fall to.
        total_updates: Length of the run.
        validate_every: Updates between two measurements; there is one more at the end, a complete one.

    Attributes:
        model: The field; None before the data were met.
        updates: Updates made.
    """

    def __init__(
        self,
        lr: float = 1e-2,
        grid_lr: float | None = None,
        weight_decay: float = 0.0,
        grid_weight_decay: float | None = None,
        end_lr: float = 1e-5,
        total_updates: int = 2000,
        validate_every: int = 500,
    ) -> None:
        super().__init__()
        if min(total_updates, validate_every) < 1 or min(lr, grid_lr or lr) <= 0:
            raise InputError("model: total_updates, validate_every and rates must be above 0")
        self.automatic_optimization = False
        self.model: nn.Module | None = None
        self.rates = {"network": lr, "grids": lr if grid_lr is None else grid_lr}
        self.decays = {
            "network": weight_decay,
            "grids": weight_decay if grid_weight_decay is None else grid_weight_decay,
        }
        self.end_lr, self.total_updates, self.validate_every = end_lr, total_updates, validate_every
        self.updates = 0
        self.guard = CollapseGuard()
        self._arguments: dict[str, Any] = {}
        self._what = ""
        self._measured_at: int | None = None

    # What a subclass says.

    @abstractmethod
    def meet(self, data: Any) -> None:
        """Builds the field for the data, unless that has been done.

        Raises:
            InputError: The data are of another kind, the field cannot have this size, or there is no memory for it.
        """

    @abstractmethod
    def loss(self, batch: Any) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """What is minimised, and the mean squared error of values in [-1, 1]."""

    @abstractmethod
    def measure(self, complete: bool) -> str | None:
        """Measures the state at hand and keeps what it finds; gives it in a line, or None where it gave up.

        Args:
            complete: All there is to measure, as at the end; else what is quick.
        """

    def rate(self, start: float) -> float:
        """The learning rate of this update.

        Args:
            start: Of the group's first update, halved for each collapse so far.
        """
        return cosine_rate(self.updates, self.total_updates, start, min(self.end_lr, start))

    def build_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimiser; without decay it is Adam.

        Args:
            groups: Parameters with ``name`` ("network" or "grids"), ``lr`` and ``weight_decay``.
        """
        return torch.optim.AdamW(groups)

    def build(
        self, make: Callable[[], nn.Module], what: str, remedy: str = "give smaller grids", **arguments: Any
    ) -> None:
        """Builds the field, unless that has been done: what `meet` ends with.

        Args:
            make: Builds it.
            what: What it is fitted to, for messages.
            remedy: What to do where there is no memory for it.
            arguments: What of the data it was built with, by the names of its arguments, plain values: a checkpoint
                names them, so that the field can be built without its data.
        """
        self._arguments, self._what = arguments, what
        if self.model is None:
            self.model = built_within_memory(make, what, remedy)
            count = sum(parameter.numel() for parameter in self.model.parameters())
            rank_zero_info(f"{type(self.model).__name__} of {count} parameters for {what}")

    # The algorithm.

    def training_step(self, batch: Any, batch_idx: int) -> None:
        optimizer = self.optimizers()
        self.set_rates()
        loss, error = self.loss(batch)
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.watch(error)
        self.update_counters()
        self.log_dict({"loss/fit": loss.detach(), "lr": optimizer.param_groups[0]["lr"]})
        self.log("psnr", 10 * torch.log10(4 / error), prog_bar=True)

    def set_rates(self) -> None:
        """Learning rates of this update, halved for each collapse so far."""
        for group in self.optimizers().param_groups:
            group["lr"] = self.rate(self.rates[group["name"]] * 0.5**self.guard.restores)

    def watch(self, error: Tensor) -> None:
        """Notes an update's error; goes back where the fit has collapsed, and ends the program where that is no use."""
        self.guard.add(self.trainer.strategy.reduce(error, reduce_op="mean"))
        if not self.guard.is_due:
            return
        if not self.guard.has_collapsed():
            self.guard.keep(self._state)
            return
        state = self.guard.go_back()
        if state is None:
            raise SystemExit(
                f"train.py: the fit collapsed at update {self.updates}, after {self.guard.restores} returns to a good "
                "state at half the rate: give a smaller model.lr"
            )
        rank_zero_warn(f"update {self.updates}: the fit has collapsed; back to a good state, at half the rate")
        self.model.load_state_dict(state["model"])
        self.optimizers().optimizer.load_state_dict(copied(state["optimizer"]))

    def _state(self) -> State:
        return {"model": self.model.state_dict(), "optimizer": self.optimizers().optimizer.state_dict()}

    def update_counters(self) -> None:
        """Counts the update; ends the run after ``total_updates``."""
        self.updates += 1
        self.data.start_update = self.updates
        self.stop_if_done()

    def stop_if_done(self) -> None:
        if self.updates >= self.total_updates:
            self.trainer.should_stop = True

    # What Lightning calls.

    @property
    def data(self) -> LightningDataModule:
        """What it is fitted to."""
        return self.trainer.datamodule

    def setup(self, stage: str) -> None:
        self.meet(self.trainer.datamodule)
        if stage == "fit":
            self.trainer.limit_val_batches = 0  # Lightning's own loop for validation stays off
            if self.trainer.strategy.root_device.type != "cpu":
                check_memory(self.model, self._what, self.trainer.strategy.root_device)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        groups = parameter_groups(self.model)
        settings = [{"lr": self.rates[g["name"]], "weight_decay": self.decays[g["name"]]} for g in groups]
        return self.build_optimizer([group | setting for group, setting in zip(groups, settings, strict=True)])

    def on_train_start(self) -> None:
        if self.guard.good is None:
            self.guard.good = copied(self._state())

    def on_fit_start(self) -> None:
        self.data.start_update = self.updates
        self._measured_at = self.updates  # a resumed run has been measured there
        self.stop_if_done()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # Here, when the state before is in a checkpoint, and a run that is to stop has done so.
        if self.updates % self.validate_every == 0 and self.updates != self._measured_at:
            self.validate_now(complete=False)

    def on_train_end(self) -> None:
        if self.updates != self._measured_at and not self.asked_to_stop():
            self.validate_now(complete=True)

    def validate_now(self, complete: bool) -> None:
        """Measures the state at hand and keeps what it finds: in the run folder, in TensorBoard, in the log."""
        found = self.measure(complete)
        if found is not None:
            rank_zero_info(found)
            self._measured_at = self.updates
            if self.trainer.is_global_zero:
                show_grids(self)

    def asked_to_stop(self) -> bool:
        """Whether somebody wants the run to end now; to be called on all ranks."""
        asking = [callback for callback in self.trainer.callbacks if hasattr(callback, "stop_if_requested")]
        return any(callback.stop_if_requested(self.trainer) for callback in asking)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.validate_now(complete=True)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.validate_now(complete=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["counters"] = {"updates": self.updates}
        checkpoint["guard"] = self.guard.state_dict()
        if isinstance(checkpoint.get("config"), str):
            checkpoint["config"] = with_arguments(checkpoint["config"], self._arguments)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.updates = checkpoint["counters"]["updates"]
        self.guard.load_state_dict(checkpoint["guard"])


def with_arguments(config: str, arguments: Mapping[str, Any]) -> str:
    """A config of a run, from which the field can be built without its data.

    Args:
        config: YAML whose node ``model.init_args.model`` names the field.
        arguments: Those that it got from the data, plain values; the config's own stay.
    """
    tree = yaml.safe_load(config)
    node = tree["model"]["init_args"]["model"]
    node["init_args"] = {**arguments, **(node.get("init_args") or {})}
    return yaml.safe_dump(tree, sort_keys=False)
