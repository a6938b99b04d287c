"""Fitting: one video becomes one field, which is built for the video's size.

Shape legend
    N       pixels of a batch
    F       frames
    H, W    height and width
"""

from __future__ import annotations

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from jaxtyping import Float, Float32, Int64
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor, nn

from datasets.signal_datamodule import SignalDataModule
from errors import InputError
from fields.coords import centres
from fields.fitting_guard import CollapseGuard, State, copied, cosine_rate
from fields.fitting_memory import built_within_memory, check_memory
from fields.fitting_record import FitRecord
from fields.interface import CHUNK, parameter_groups
from fields.nerv_training import nerv_loss


def points_of(pixels: Int64[Tensor, " N"], size: tuple[int, int, int]) -> Float32[Tensor, "N 3"]:
    """Places (t, y, x) of pixels, bit for bit those that are rendered.

    Args:
        pixels: Their numbers, counted frame by frame and row by row.
        size: Frames, height and width.
    """
    row = pixels // size[2]
    numbers = (row // size[1], row % size[1], pixels % size[2])
    return torch.stack([centres(n, pixels.device)[k] for n, k in zip(size, numbers, strict=True)], dim=1)


def from_bytes(values: Tensor) -> Tensor:
    """Colours of 8 bits as float32 in [-1, 1]."""
    return values.float() / 127.5 - 1


class FieldFitting(LightningModule):
    """Fits a field to a video by AdamW with a rate that falls along a cosine, as NVP does.

    A field of points learns colours of random pixels by their squared error; one of whole frames (NeRV) learns these
    by the loss of its authors. A fit that collapses goes back to its last good state at half the rate, three times.

    Args:
        model: What is fitted, built for frames, height and width: a config names the class and all arguments but the
            size.
        lr: Learning rate of networks.
        grid_lr: Of grids; None: the same.
        weight_decay: Of networks.
        grid_weight_decay: Of grids; None: the same.
        end_lr: What rates fall to.
        total_updates: Length of the run.
        validate_every: Updates between two measurements; there is one more at the end, of all frames.
        num_while_training: How many frames are measured while training goes on, evenly spread.
        chunk: Pixels that are evaluated at once when frames are measured.
        lpips_weights: File of the weights of LPIPS, which is measured at the end where they are there; None: where they
            usually lie.
    """

    def __init__(
        self,
        model: Callable[[tuple[int, int, int]], nn.Module],
        lr: float = 1e-2,
        grid_lr: float | None = None,
        weight_decay: float = 0.0,
        grid_weight_decay: float | None = None,
        end_lr: float = 1e-5,
        total_updates: int = 2000,
        validate_every: int = 500,
        num_while_training: int = 8,
        chunk: int = CHUNK,
        lpips_weights: str | None = None,
    ) -> None:
        super().__init__()
        if min(total_updates, validate_every, num_while_training, chunk) < 1 or min(lr, grid_lr or lr) <= 0:
            raise InputError(
                "model: total_updates, validate_every, num_while_training, chunk and rates must be above 0"
            )
        self.automatic_optimization = False
        self.make, self.model = model, None
        self.rates = {"network": lr, "grids": lr if grid_lr is None else grid_lr}
        self.decays = {
            "network": weight_decay,
            "grids": weight_decay if grid_weight_decay is None else grid_weight_decay,
        }
        self.end_lr, self.total_updates, self.validate_every = end_lr, total_updates, validate_every
        self.updates = 0
        self.guard = CollapseGuard()
        self.record = FitRecord(num_while_training, chunk, lpips_weights)
        self._measured_at: int | None = None

    def meet(self, data: Any) -> None:
        """Builds the field for the video of the data, unless that has been done.

        Raises:
            InputError: The data are no video, the field cannot have this size, or there is no memory for it.
        """
        if not isinstance(data, SignalDataModule):
            raise InputError("data: fitting needs one video: give datasets.signal_datamodule.VideoSignal")
        data.setup("fit")
        if self.model is None:
            self.model = built_within_memory(self.make, data.signal.size)
            count = sum(parameter.numel() for parameter in self.model.parameters())
            size = "{} frames of {}x{}".format(*data.signal.size)
            rank_zero_info(f"{type(self.model).__name__} of {count} parameters for {size}")
        data.whole_frames = hasattr(self.model, "frames")

    # The algorithm.

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
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

    def loss(self, batch: dict[str, Any]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """What is minimised, and the mean squared error of values in [-1, 1]."""
        target = from_bytes(batch["rgb"])
        if "frames" not in batch:
            error = F.mse_loss(self.model(points_of(batch["pixels"], self.data.signal.size)).float(), target)
            return error, error.detach()
        frames = self.model.frames(centres(self.data.signal.size[0], target.device)[batch["frames"]]).float()
        return nerv_loss((frames + 1) / 2, (target + 1) / 2), F.mse_loss(frames.detach(), target)

    def set_rates(self) -> None:
        """Learning rates of this update, halved for each collapse so far."""
        for group in self.optimizers().param_groups:
            start = self.rates[group["name"]] * 0.5**self.guard.restores
            group["lr"] = cosine_rate(self.updates, self.total_updates, start, min(self.end_lr, start))

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
    def data(self) -> SignalDataModule:
        """The video."""
        return self.trainer.datamodule

    def setup(self, stage: str) -> None:
        self.meet(self.trainer.datamodule)
        if stage == "fit":
            self.trainer.limit_val_batches = 0  # Lightning's own loop for validation stays off
            if self.trainer.strategy.root_device.type != "cpu":
                check_memory(self.model, self.data.signal.size, self.trainer.strategy.root_device)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        groups = parameter_groups(self.model)
        settings = [{"lr": self.rates[g["name"]], "weight_decay": self.decays[g["name"]]} for g in groups]
        return torch.optim.AdamW([group | setting for group, setting in zip(groups, settings, strict=True)])

    def on_train_start(self) -> None:
        if self.guard.good is None:
            self.guard.good = copied(self._state())

    def on_fit_start(self) -> None:
        self.data.start_update = self.updates
        self._measured_at = self.updates  # a resumed run has been measured there
        self.stop_if_done()

    def on_train_batch_start(self, batch: dict[str, Any], batch_idx: int) -> None:
        # Here, when the state before is in a checkpoint, and a run that is to stop has done so.
        if self.updates % self.validate_every == 0 and self.updates != self._measured_at:
            self.validate_now(all_frames=False)

    def on_train_end(self) -> None:
        if self.updates != self._measured_at and not self._asked_to_stop():
            self.validate_now(all_frames=True)

    def validate_now(self, all_frames: bool) -> None:
        """Measures the state at hand and keeps what it finds: in the run folder, in TensorBoard, in the log."""
        found = self.record.take(self, all_frames, self._asked_to_stop)
        if found is not None:
            rank_zero_info(found)
            self._measured_at = self.updates

    def _asked_to_stop(self) -> bool:
        """Whether somebody wants the run to end now; to be called on all ranks."""
        asking = [callback for callback in self.trainer.callbacks if hasattr(callback, "stop_if_requested")]
        return any(callback.stop_if_requested(self.trainer) for callback in asking)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.validate_now(all_frames=True)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.validate_now(all_frames=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["counters"] = {"updates": self.updates}
        checkpoint["guard"] = self.guard.state_dict()
        if isinstance(checkpoint.get("config"), str):
            checkpoint["config"] = with_size(checkpoint["config"], self.model.size)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.updates = checkpoint["counters"]["updates"]
        self.guard.load_state_dict(checkpoint["guard"])


def with_size(config: str, size: tuple[int, int, int]) -> str:
    """A config of a run, from which the field can be built without its video.

    Args:
        config: YAML whose node ``model.init_args.model`` names the field.
        size: Frames, height and width.
    """
    tree = yaml.safe_load(config)
    node = tree["model"]["init_args"]["model"]
    node["init_args"] = {"size": list(size), **(node.get("init_args") or {})}
    return yaml.safe_dump(tree, sort_keys=False)
