"""Refusals before a run starts. That networks and data must agree is tested with a whole run, in `test_gan.py`."""

from __future__ import annotations

import pytest

from errors import InputError
from stylegan_v.agreement import check_agreement, check_split, check_trainer
from stylegan_v.distributed import OwnReductionDDPStrategy
from stylegan_v.networks import Generator, Motionless
from tests.stylegan_v import tiny_gan


@pytest.mark.parametrize(
    ("batch_size", "num_ranks", "num_micro_batches", "group_size"),
    [(16, 2, 2, 4), (4, 1, 1, 4), (6, 1, 2, 3), (5, 1, 1, None)],
)
def test_even_splits_pass(batch_size: int, num_ranks: int, num_micro_batches: int, group_size: int | None) -> None:
    check_split(batch_size, num_ranks, num_micro_batches, group_size)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ((6, 4, 1, 1), r"data\.batch_size: 6 .* 4 devices .* choose a multiple of 4"),
        ((6, 1, 0, 1), r"model\.num_micro_batches = 0"),
        ((8, 2, 2, 4), r"model\.discriminator\.mbstd_group_size: groups of 4 do not divide the 2 clips"),
        ((8, 1, 2, None), r"model\.discriminator\.mbstd_group_size: groups of 8 do not divide the 4 clips"),
    ],
)
def test_uneven_splits_are_refused(split: tuple[int, int, int, int | None], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_split(*split)


def test_other_kinds_of_data_are_refused() -> None:
    with pytest.raises(InputError, match=r"data: .* ClipDataModule, not on NoneType"):
        check_agreement(tiny_gan.generator(), tiny_gan.discriminator(), None)


def test_images_do_not_pass_for_clips() -> None:
    still = Generator(16, z_dim=8, w_dim=8, motion=Motionless(), channel_base=128, channel_max=8)
    one, two = (tiny_gan.data(num_frames=num_frames) for num_frames in (1, 2))
    for clips in (one, two):
        clips.setup("fit")
    check_agreement(still, tiny_gan.discriminator(num_frames=1), one)
    with pytest.raises(InputError, match=r"model\.generator\.motion: .*clips of 2 frames.*num_frames of 1"):
        check_agreement(still, tiny_gan.discriminator(num_frames=2), two)


def test_several_processes_need_our_strategy() -> None:
    check_trainer(object(), "32-true", 1)
    check_trainer(OwnReductionDDPStrategy(), "bf16-mixed", 2)
    with pytest.raises(InputError, match=r"trainer\.strategy: object does not suit"):
        check_trainer(object(), "32-true", 2)


@pytest.mark.parametrize("precision", ["16-mixed", "64-true", "bf16-true"])
def test_other_precisions_are_refused(precision: str) -> None:
    with pytest.raises(InputError, match=f"trainer.precision: {precision} .* 32-true, bf16-mixed"):
        check_trainer(object(), precision, 1)
