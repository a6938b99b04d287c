"""A video GAN that trains on a CPU in seconds, and a program that trains it in two processes.

python -m tests.stylegan_v.tiny_gan gradients FOLDER                    writes down the gradients of each rank
python -m tests.stylegan_v.tiny_gan spoilt FOLDER                       the state after a rank has said NaN
python -m tests.stylegan_v.tiny_gan checkpoint OUT UPDATES [CHECKPOINT] a run, from the start or resumed
python -m tests.stylegan_v.tiny_gan taken OUT UPDATES CHECKPOINT        what it resumes from, as it took it
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import torch

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback

from datasets.datamodule import SyntheticVideos
from datasets.frame_sampling import RandomSpans
from stylegan_v.augment import AdaptiveProbability, AugmentPipe
from stylegan_v.gan import VideoGAN
from stylegan_v.networks import Discriminator, Generator, HypernetworkConditioning, MotionEncoder
from stylegan_v.schedules import GeneratorRegularization

HORIZON = 32


def generator(c_dim: int = 0, resolution: int = 16, seed: int = 0) -> Generator:
    torch.manual_seed(seed)
    motion = MotionEncoder(
        z_dim=6, v_dim=8, c_dim=c_dim, num_frequencies=8, distance=8, kernel_size=3, max_num_frames=HORIZON
    )
    return Generator(
        resolution, z_dim=8, w_dim=8, c_dim=c_dim, motion=motion, channel_base=128, channel_max=8, conv_clamp=None
    )


def discriminator_settings(
    c_dim: int = 0, resolution: int = 16, num_frames: int = 3, group_size: int | None = 2
) -> dict[str, Any]:
    conditioning = HypernetworkConditioning(num_frames=num_frames, c_dim=c_dim, dim=8, max_num_frames=HORIZON)
    sizes = {"resolution": resolution, "channel_base": 128, "channel_max": 8, "concat_res": 8}
    return {"conditioning": conditioning, "conv_clamp": None, "mbstd_group_size": group_size, **sizes}


def discriminator(*args: Any, seed: int = 1, **settings: Any) -> Discriminator:
    torch.manual_seed(seed)
    return Discriminator(**discriminator_settings(*args, **settings))


def gan(
    c_dim: int = 0, *, made: type[VideoGAN] = VideoGAN, augmented: bool = False, pl_weight: float = 0.0, **settings: Any
) -> VideoGAN:
    if augmented:
        settings |= {"augment": AugmentPipe("bgc"), "ada": AdaptiveProbability(p=0.5, every=1, ada_kclips=0.05)}
    regularization = GeneratorRegularization(pl_weight, pl_every=2, style_mixing_prob=0.5 if pl_weight else 0.0)
    networks = {"generator": generator(c_dim), "discriminator": discriminator(c_dim)}
    return made(**{**networks, "r1_every": 2, "generator_regularization": regularization, **settings})


def data(batch_size: int = 4, *, num_workers: int = 0, num_frames: int = 3, **settings: Any) -> SyntheticVideos:
    return SyntheticVideos(
        num_videos=6,
        num_frames=24,
        frame_sampler=RandomSpans(num_frames, max_distance=16, max_num_frames=HORIZON),
        batch_size=batch_size,
        num_workers=num_workers,
        **{"resolution": 16, **settings},
    )


def trainer(folder: Path | str, *callbacks: Callback, **settings: Any) -> Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "max_epochs": -1}
    return Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        callbacks=list(callbacks),
        enable_model_summary=False,
        **{**quiet, **settings},
    )


class StopAfter(Callback):
    """Ends a run after so many updates of it altogether."""

    def __init__(self, updates: int) -> None:
        self.updates = updates

    def on_train_batch_end(self, trainer: Trainer, pl_module: VideoGAN, *args: Any) -> None:
        trainer.should_stop = trainer.should_stop or pl_module.updates >= self.updates


class HalfSpoiltGAN(VideoGAN):
    """The second rank's discriminator says NaN in update 1."""

    def judge(self, *args: Any) -> torch.Tensor:
        spoilt = self.global_rank == 1 and self.updates == 1
        return super().judge(*args) * (math.nan if spoilt else 1.0)


class RecordingGAN(VideoGAN):
    """Keeps the gradients of every step, and the running mean of the styles after every update."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.gradients: dict[str, list[torch.Tensor]] = {}
        self.phases: list[tuple[int, str]] = []

    def on_gradients(self, phase: str) -> None:
        network = self.generator if phase in ("generator", "path_length") else self.discriminator
        self.phases.append((self.updates, phase))
        self.gradients[f"{self.updates}/{phase}"] = [p.grad.clone() for p in network.parameters()]


def labelled_gradients(folder: Path | str, *, devices: int = 1, num_micro_batches: int = 1) -> dict[str, Any]:
    """Gradients and state of two updates with augmentation, labels, minibatch std and path length."""
    clips = data(8, labelled=True)
    clips.setup("fit")
    model = gan(
        clips.c_dim, made=RecordingGAN, augmented=True, pl_weight=2.0, r1_every=1, num_micro_batches=num_micro_batches
    )
    trainer(folder, StopAfter(2), devices=devices, strategy="auto").fit(model, clips)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    return {"rank": model.global_rank, "gradients": model.gradients, "state": state}


def same_gradient(expected: list[torch.Tensor], found: list[torch.Tensor]) -> bool:
    """Whether gradients of a phase agree: to 1e-5 of the largest value of the whole, each matrix to 1e-4 of its own.

    The R1 penalty of a piecewise linear network hardly depends on its biases, and little on some matrices: their
    gradients are what is left when large terms cancel, so their own size is no measure of the terms' rounding.
    """
    differences = [(a - b).abs().max().item() for a, b in zip(expected, found, strict=True)]
    sizes = [gradient.abs().max().item() for gradient in expected]
    matrices = [n for n, gradient in enumerate(expected) if gradient.ndim > 1]
    return max(differences) < 1e-5 * max(sizes) and all(differences[n] <= 1e-4 * sizes[n] for n in matrices)


def checkpoint(
    path: Path,
    updates: int,
    ckpt: Path | None = None,
    *,
    batch_size: int = 4,
    num_workers: int = 0,
    devices: int = 1,
    **settings: Any,
) -> Path:
    """Trains until ``updates`` with everything switched on, from the start or from a checkpoint, and saves."""
    clips = data(batch_size, labelled=True, num_workers=num_workers)
    clips.setup("fit")
    model = gan(clips.c_dim, augmented=True, pl_weight=2.0, **{"r1_every": 3, **settings})
    run = trainer(path.parent, StopAfter(updates), devices=devices)
    run.fit(model, clips, ckpt_path=ckpt)
    run.save_checkpoint(path)
    return path


if __name__ == "__main__":
    what, out, *rest = sys.argv[1:]
    if what == "gradients":
        result = labelled_gradients(out, devices=2)
        torch.save(result, Path(out) / f"rank{result['rank']}.pt")
    elif what == "spoilt":
        model = gan(made=HalfSpoiltGAN, augmented=True, r1_every=1)
        trainer(out, StopAfter(2), devices=2).fit(model, data(8))
        result = {"bad_in_a_row": model.guard.bad_in_a_row, "state": model.state_dict()}
        torch.save(result, Path(out) / f"rank{model.global_rank}.pt")
    else:
        settings = {"total_kimg": 0.0} if what == "taken" else {}  # a run that is over is saved as it was read
        checkpoint(Path(out), int(rest[0]), *map(Path, rest[1:]), batch_size=8, devices=2, **settings)
