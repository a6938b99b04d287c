"""What data, networks and devices must agree on before a run starts; a refusal names the configuration keys."""

from __future__ import annotations

from datasets.datamodule import ClipDataModule
from errors import InputError
from stylegan_v.distributed import OwnReductionDDPStrategy
from stylegan_v.networks import Discriminator, Generator

_PRECISIONS = ("32-true", "bf16-mixed")


def check_agreement(generator: Generator, discriminator: Discriminator, data: ClipDataModule | None) -> None:
    """Refuses networks that do not fit each other or the data.

    Raises:
        InputError: Resolution, number of frames or number of labels differ, images are to pass for moving clips, or the
            data are of another kind.
    """
    if not isinstance(data, ClipDataModule):
        raise InputError(f"data: a video GAN trains on a ClipDataModule, not on {type(data).__name__}")
    num_frames = data.frame_sampler.num_frames
    _same("data.frame_sampler.num_frames", num_frames, "model.discriminator.num_frames", discriminator.num_frames)
    if num_frames > 1 and not generator.synthesis.motion.out_dim:
        name = type(generator.synthesis.motion).__name__
        raise InputError(
            f"model.generator.motion: with {name} it draws images, which cannot pass for clips of {num_frames} frames: "
            "give a MotionEncoder, or a num_frames of 1 in discriminator and frame_sampler"
        )
    for key, network in (("model.generator", generator), ("model.discriminator", discriminator)):
        _same("data.resolution", tuple(data.resolution), f"{key}.resolution", tuple(network.resolution))
        _same("data.c_dim", data.c_dim, f"{key}.c_dim", network.c_dim)


def check_views(
    generator: Generator, discriminator: Discriminator, data: ClipDataModule, multi_scale: bool = False
) -> None:
    """Refuses views where somebody cannot take them.

    Args:
        generator: Needs a decoder for them.
        discriminator: Has to be told of them.
        data: Has them or not.
        multi_scale: Whether there are losses that need them.

    Raises:
        InputError: One of them does not fit.
    """
    if data.views is None:
        if multi_scale:
            raise InputError("model.multi_scale: the data have no views: give data.views, or leave it out")
        return
    if generator.decoder is None:
        raise InputError("data.views: only a generator with a decoder draws patches: give model.generator.decoder")
    if discriminator.conditioning.view_encoder is None:
        raise InputError(
            "data.views: the discriminator is not told of them: set views of model.discriminator.conditioning to true"
        )


def check_trainer(strategy: object, precision: str, num_ranks: int) -> None:
    """Refuses ways of training that would give wrong gradients.

    Args:
        strategy: Lightning's strategy.
        precision: Lightning's name of the precision.
        num_ranks: Processes that train together.

    Raises:
        InputError: Several processes without `OwnReductionDDPStrategy`, or a precision that scales losses.
    """
    if num_ranks > 1 and not isinstance(strategy, OwnReductionDDPStrategy):
        name = type(strategy).__name__
        raise InputError(f"trainer.strategy: {name} does not suit two alternating optimisers; use auto or ddp")
    if precision not in _PRECISIONS:
        raise InputError(f"trainer.precision: {precision} is not supported; use one of {', '.join(_PRECISIONS)}")


def check_split(batch_size: int, num_ranks: int, num_micro_batches: int, group_size: int | None) -> None:
    """Refuses a batch that cannot be dealt out in equal parts that are whole minibatch-std groups.

    Args:
        batch_size: Clips of the global batch.
        num_ranks: Processes that train together.
        num_micro_batches: Parts of one process.
        group_size: Clips that minibatch standard deviation compares; None: all of the batch.

    Raises:
        InputError: It does not come out even.
    """
    parts = num_ranks * num_micro_batches
    if num_micro_batches < 1 or batch_size % parts:
        raise InputError(
            f"data.batch_size: {batch_size} clips cannot be dealt out evenly to {num_ranks} devices in "
            f"model.num_micro_batches = {num_micro_batches} parts each; choose a multiple of {max(parts, 1)}"
        )
    group_size = batch_size if group_size is None else max(group_size, 1)
    if (batch_size // parts) % group_size:
        raise InputError(
            f"model.discriminator.mbstd_group_size: groups of {group_size} do not divide the {batch_size // parts} "
            f"clips of one part (data.batch_size {batch_size} / {num_ranks} devices / model.num_micro_batches "
            f"{num_micro_batches}); change one of them"
        )


def _same(key: str, value: object, other_key: str, other: object) -> None:
    if value != other:
        raise InputError(f"{key} is {value} but {other_key} is {other}: make them equal")
