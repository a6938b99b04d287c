from __future__ import annotations

from unittest.mock import MagicMock

import pytest
from pytorch_lightning import Trainer
from pytorch_lightning.demos.boring_classes import BoringModel

from errors import InputError
from stylegan_v.callbacks.counters import Counters, check_interval
from tests.stylegan_v import tiny_gan


def test_a_module_that_counts_is_believed() -> None:
    gan = tiny_gan.gan(total_kimg=2.5)
    gan.updates, gan.num_clips, gan.num_frames = 3, 12, 36
    assert Counters.of(MagicMock(spec=Trainer, global_step=99), gan) == Counters(3, 12, 36, 2500.0)


def test_the_end_of_a_run_is_in_frames_or_in_updates() -> None:
    module = BoringModel()
    module.updates, module.num_images, module.total_updates = 3, 48, 10
    counters = Counters.of(MagicMock(spec=Trainer, global_step=99), module)
    assert counters == Counters(3, 0, 0, None, 48, 10)
    assert (counters.done, counters.total) == (3, 10)
    assert (Counters(3, 8, 24, 100.0).done, Counters(3, 8, 24, 100.0).total) == (24, 100.0)
    assert Counters(3, 0, 0, None).total is None


def test_of_any_other_module_the_steps_are_known() -> None:
    trainer = MagicMock(spec=Trainer, global_step=7)
    assert Counters.of(trainer, BoringModel()) == Counters(7, 0, 0, None)


def test_an_interval_must_come_round() -> None:
    check_interval("x.every", 1)
    with pytest.raises(InputError, match=r"x\.every: 0"):
        check_interval("x.every", 0)
