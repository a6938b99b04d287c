"""Super-resolution in training: continuous images learned from pairs of a small image and pixels of a large one.

Shape legend
    B       samples of this process
    Q       pixels of a sample
    h, w    height and width of small images
"""

from __future__ import annotations

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from PIL import Image
from pytorch_lightning import LightningModule
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_info
from torch import Tensor

from datasets.files import atomic_path
from datasets.image_datamodule import PairDataModule
from datasets.image_pairs import Pair, bicubic
from datasets.image_samples import ValidationPairs, planar
from errors import InputError
from fields.continuous_image import ContinuousImage
from fields.interface import parameter_groups
from fields.psnr_protocols import Protocol, psnr_by_protocol, shave_of
from fields.scale_scores import ScaleScore, ScaleScores, side_by_side, to_bytes

RESULTS, CURVE, SAMPLES = "validation.jsonl", "psnr_by_scale.png", "samples"
_PICTURE_SCALE = 4.0  # of which pictures are shown, or the nearest that is measured


def points_of(
    pixels: Int64[Tensor, "B Q"], size: Int64[Tensor, "B 2"]
) -> tuple[Float32[Tensor, "B Q 2"], Float32[Tensor, "B Q 2"]]:
    """Centres of pixels (y, x) in [-1, 1], those of `coords.mesh` up to rounding, and the cells of their images.

    Args:
        pixels: Numbers of pixels, counted row by row.
        size: Height and width of the image that they belong to.
    """
    sides, width = size[:, None], size[:, 1:]
    place = torch.stack((pixels // width, pixels % width), dim=-1)
    coords = (2 * place + 1 - sides).float() / sides.float()
    return coords, (2 / sides.float()).expand_as(coords)


def from_bytes(image: Tensor) -> Tensor:
    """Colours of 8 bits as float32 in [-1, 1]."""
    return (image.float() / 255 - 0.5) / 0.5


class SuperResolution(LightningModule):
    """Trains a continuous image by the mean absolute error of colours, as LIIF does (Chen et al. 2021, section 4).

    Args:
        model: What is trained: LIIF, MetaSR, or an encoder with a tail, read out.
        lr: Learning rate of Adam, whose other settings are torch's.
        milestones: Updates at which the learning rate is multiplied by ``gamma``.
        gamma: Factor at the milestones.
        total_updates: Length of the run.
        protocol: Which pixels and values the PSNR counts: "div2k" (RGB, scale + 6 pixels left out at every side),
            "benchmark" (luma, scale pixels left out) or "plain" (RGB, all pixels). Scales that are no whole number
            are rounded up for it.
        validate_every: Updates between two measurements; there is one more at the end, on all images.
        chunk: Pixels that are queried at once when whole images are measured.
    """

    def __init__(
        self,
        model: ContinuousImage,
        lr: float = 1e-4,
        milestones: Sequence[int] = (200_000, 400_000, 600_000, 800_000),
        gamma: float = 0.5,
        total_updates: int = 1_000_000,
        protocol: Protocol = "div2k",
        validate_every: int = 10_000,
        chunk: int = 30_000,
    ) -> None:
        super().__init__()
        if min(total_updates, validate_every, chunk) < 1 or lr <= 0 or gamma <= 0:
            raise InputError("model: total_updates, validate_every, chunk, lr and gamma must be above 0")
        if list(milestones) != sorted(set(milestones)):
            raise InputError(f"model.milestones: {list(milestones)} do not grow; give numbers of updates in order")
        self.automatic_optimization = False
        self.model = model
        self.lr, self.milestones, self.gamma = lr, list(milestones), gamma
        self.total_updates, self.protocol, self.validate_every = total_updates, protocol, validate_every
        self.chunk = chunk
        self.updates = self.num_images = 0
        self._measured_at: int | None = None

    # The algorithm.

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        optimizer = self.optimizers()
        loss = self.loss(batch)
        self.check_finite(loss)
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.lr_schedulers().step()
        self.update_counters()
        self.log_dict({"loss/l1": loss.detach(), "lr": optimizer.param_groups[0]["lr"]})

    def loss(self, batch: dict[str, Tensor]) -> Float[Tensor, ""]:
        """Mean absolute error over pixels and colours, which are in [-1, 1]."""
        coords, cell = points_of(batch["pixels"], batch["size"])
        colours = self.model(from_bytes(batch["lr"]), coords, cell)
        return (colours.float() - from_bytes(batch["rgb"])).abs().mean()

    def check_finite(self, loss: Tensor) -> None:
        """Ends a run that has diverged, before the weights are spoilt."""
        finite = self.trainer.strategy.reduce_boolean_decision(bool(loss.isfinite()), all=True)
        if not finite:
            raise InputError(
                f"the loss of update {self.updates} is not finite: continue from the last checkpoint with a smaller "
                "model.lr, or in higher precision"
            )

    def update_counters(self) -> None:
        """Counts the update; ends the run after ``total_updates``."""
        self.updates += 1
        self.num_images += self.data.batch_size
        self.data.start_update = self.updates  # where the sampler of a resumed run begins
        self.stop_if_done()

    def stop_if_done(self) -> None:
        if self.updates >= self.total_updates:
            self.trainer.should_stop = True

    # Measuring.

    @torch.no_grad()
    def measure(self, pairs: ValidationPairs, numbers: Sequence[int]) -> tuple[ScaleScores, np.ndarray] | None:
        """PSNR at every scale, in float32, and a row of pictures of the first image; None if asked to stop meanwhile.

        The pictures are the small image with its pixels enlarged, bicubic enlargement, ours, and the truth.

        Args:
            pairs: What is measured on.
            numbers: Of the images; ranks share them.
        """
        scores, row = [], None
        shown = min(pairs.scales, key=lambda scale: abs(math.log(scale / _PICTURE_SCALE)))
        for scale in pairs.scales:
            if self._asked_to_stop():
                return None
            values = torch.zeros(2, len(numbers), dtype=torch.float64, device=self.device)
            for place, pair, ours in self._results(pairs, scale, numbers):
                enlarged = bicubic(pair[0], pair[1].shape[:2])
                values[0, place] = self._psnr(ours, pair[1], scale)
                values[1, place] = self._psnr(_unit(enlarged), pair[1], scale)
                if row is None and scale == shown:
                    pixels = np.asarray(Image.fromarray(pair[0]).resize(pair[1].shape[1::-1], Image.Resampling.NEAREST))
                    row = side_by_side([pixels, enlarged, to_bytes(ours[0]), pair[1]])
            values = self.trainer.strategy.reduce(values, reduce_op="sum").cpu()
            scores.append(ScaleScore(scale, pairs.source(scale), values[0], values[1]))
        return ScaleScores(self.protocol, tuple(scores)), row

    def _results(
        self, pairs: ValidationPairs, scale: float, numbers: Sequence[int]
    ) -> Iterator[tuple[int, Pair, Tensor]]:
        """This rank's share: place among the numbers, the pair, and our large image in [0, 1]."""
        places = range(self.global_rank, len(numbers), self.trainer.world_size)
        for place, (_, pair) in zip(places, pairs.pairs(scale, [numbers[place] for place in places]), strict=True):
            image = from_bytes(planar(pair[0])[None].to(self.device))
            result = self.model.render(image, pair[1].shape[:2], chunk=self.chunk)
            yield place, pair, (result * 0.5 + 0.5).clamp(0, 1)

    def _psnr(self, result: Tensor, truth: np.ndarray, scale: float) -> Tensor:
        return psnr_by_protocol(result, _unit(truth).to(result.device), self.protocol, math.ceil(scale))[0]

    def validate_now(self, num_images: int | None = None) -> ScaleScores | None:
        """Measures the state at hand and keeps what it finds: in the run folder, in TensorBoard, in the log.

        Args:
            num_images: How many images are looked at; None: all.
        """
        pairs = self.data.validation_pairs
        if pairs is None:
            return None
        found = self.measure(pairs, range(len(pairs.names))[:num_images])
        if found is None:
            return None
        scores, row = found
        if self.trainer.is_global_zero:
            self._keep(scores, row)
        self._measured_at = self.updates
        return scores

    def _keep(self, scores: ScaleScores, row: np.ndarray) -> None:
        folder = Path(self.trainer.default_root_dir)
        curve = scores.curve(f"update {self.updates}")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / RESULTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"updates": self.updates, **scores.record()}) + "\n")
        for name, picture in ((CURVE, curve), (f"{SAMPLES}/validation_{self.updates:07d}.png", Image.fromarray(row))):
            with atomic_path(folder / name) as temporary, temporary.open("wb") as file:
                picture.save(file, "PNG")
        for logger in self.trainer.loggers:
            logger.log_metrics(dict(scores.scalars()), step=self.updates)
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("lr_bicubic_ours_truth", row, self.updates, dataformats="HWC")
                logger.experiment.add_image("psnr_by_scale", np.asarray(curve), self.updates, dataformats="HWC")
        rank_zero_info(f"update {self.updates}: {scores.as_text()}")

    def check_validation(self) -> None:
        """Makes sure, before hours of training, that every image is large enough to be measured at every scale.

        Raises:
            InputError: One is not.
        """
        pairs = self.data.validation_pairs
        for scale in () if pairs is None else pairs.scales:
            smallest = min(range(len(pairs.names)), key=lambda number: min(pairs.images.sizes[number]))
            ((_, (_, large)),) = pairs.pairs(scale, [smallest])
            if min(large.shape[:2]) <= 2 * shave_of(self.protocol, math.ceil(scale)):
                raise InputError(
                    f"validation: {pairs.names[smallest]} is too small for x{scale:g} by protocol {self.protocol}: "
                    "leave out the scale or the image, or choose protocol plain"
                )

    # What Lightning calls.

    @property
    def data(self) -> PairDataModule:
        """The data this run trains on."""
        return self.trainer.datamodule

    def setup(self, stage: str) -> None:
        if not isinstance(self.trainer.datamodule, PairDataModule):
            raise InputError("data: super-resolution needs pairs: give datasets.image_datamodule.ImagePairs")
        if stage == "fit":
            self.trainer.limit_val_batches = 0  # Lightning's own loop for validation stays off
        elif self.data.validation_pairs is None:
            raise InputError("data.validation: nothing to measure on: give a folder of images")
        self.check_validation()

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = torch.optim.Adam(parameter_groups(self.model), lr=self.lr)
        return {
            "optimizer": optimizer,
            "lr_scheduler": torch.optim.lr_scheduler.MultiStepLR(optimizer, self.milestones, self.gamma),
        }

    def on_fit_start(self) -> None:
        self.data.start_update = self.updates
        self._measured_at = self.updates  # a resumed run has been measured there
        self.stop_if_done()

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        # Here, when the state before is in a checkpoint, and a run that is to stop has done so.
        if self.updates % self.validate_every == 0 and self.updates != self._measured_at:
            pairs = self.data.validation_pairs
            self.validate_now(None if pairs is None else pairs.num_while_training)

    def on_train_end(self) -> None:
        if self.updates != self._measured_at and not self._asked_to_stop():
            self.validate_now()

    def _asked_to_stop(self) -> bool:
        """Whether somebody wants the run to end now; to be called on all ranks."""
        asking = [callback for callback in self.trainer.callbacks if hasattr(callback, "stop_if_requested")]
        return any(callback.stop_if_requested(self.trainer) for callback in asking)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.validate_now()

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.validate_now()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["counters"] = {"updates": self.updates, "num_images": self.num_images}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.updates, self.num_images = (checkpoint["counters"][name] for name in ("updates", "num_images"))


def _unit(image: np.ndarray) -> Float32[Tensor, "1 3 h w"]:
    """A picture of 8 bits as float32 in [0, 1]."""
    return planar(image)[None].float() / 255
