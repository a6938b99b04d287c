"""Batches of points: all of them or some at random, by update and by process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.point_datamodule import Picture, PointDataModule, SampledSignal, SumOfSines, SyntheticPicture
from datasets.synthetic import waves_checker_disc
from errors import InputError


def ready(data: PointDataModule) -> PointDataModule:
    data.setup("fit")
    return data


def test_a_batch_is_all_that_is_trained_on() -> None:
    data = ready(SyntheticPicture((6, 8), every=2))
    batch = data.part(5)
    pixels = torch.from_numpy(waves_checker_disc((6, 8)))[::2, ::2].reshape(-1, 3)
    assert torch.equal(((batch["values"] + 1) * 127.5).round(), pixels.float()) and batch["update"] == 5
    assert batch["positions"][:5].tolist() == [[0, 0], [0, 2], [0, 4], [0, 6], [2, 0]]


def test_processes_share_an_update() -> None:
    for data in (SumOfSines(num_points=6), SumOfSines(num_points=6, batch_size=4, seed=3)):
        whole = ready(data).part(2)
        parts = [data.part(2, rank, 2) for rank in range(2)]
        assert torch.equal(torch.cat([part["values"] for part in parts]), whole["values"])


def test_some_points_at_random_follow_seed_and_update() -> None:
    one, other = (ready(SumOfSines(num_points=50, batch_size=20, seed=seed)) for seed in (0, 1))
    assert torch.equal(one.part(3)["positions"], one.part(3)["positions"])
    for different in (one.part(4), other.part(3)):
        assert not torch.equal(different["positions"], one.part(3)["positions"])
    assert set(one.part(0)["positions"][:, 0].tolist()) <= set(range(50))


def test_files_are_read(tmp_path: Path) -> None:
    Image.fromarray(waves_checker_disc((5, 7))).save(tmp_path / "a.png")
    assert ready(Picture(tmp_path / "a.png", every=2)).signal.trained.sum() == 3 * 4
    assert ready(Picture(tmp_path / "a.png", size=[4, 6])).signal.size == (4, 6)
    np.savez(tmp_path / "a.npz", a=np.arange(4), b=np.arange(4) ** 2)
    assert ready(SampledSignal(tmp_path / "a.npz", "a", "b")).signal.values[:, 0].tolist() == [0, 1, 4, 9]


@pytest.mark.parametrize(
    "make", [lambda: SumOfSines(batch_size=0), lambda: Picture("a", size=[3]), lambda: SyntheticPicture([3])]
)
def test_wrong_settings_are_refused(make: object) -> None:
    with pytest.raises(InputError, match=r"data\."):
        make()


@pytest.mark.parametrize(
    "make",
    [lambda: SumOfSines(num_points=50), lambda: SyntheticPicture([40, 50]), lambda: Picture("a.png", size=[9, 9])],
)
def test_more_points_than_fit_into_memory_are_refused(
    make: Callable[[], PointDataModule], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(waves_checker_disc((5, 7))).save("a.png")
    monkeypatch.setattr("datasets.point_signal.available_memory", lambda device: 96 * 49)
    with pytest.raises(InputError, match=r"points take .* are left: give a smaller data\."):
        make().setup()
    assert ready(Picture("a.png")).signal.size == (5, 7)
