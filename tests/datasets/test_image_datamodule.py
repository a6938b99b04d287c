from __future__ import annotations

import itertools
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from PIL import Image
from torch import Tensor

from datasets.image_datamodule import ImagePairs, PairDataModule, SyntheticImagePairs, ValidationFolder
from datasets.image_recipes import PairedCrops, RandomCrops, VariedSizes
from datasets.synthetic_images import HELD_OUT, synthetic_image
from errors import InputError

RECIPE = RandomCrops(8, (1, 3))


def made(**settings: Any) -> SyntheticImagePairs:
    defaults = {"num_seeds": 5, "size": (32, 32), "recipe": RECIPE, "num_samples": 40}
    return SyntheticImagePairs(**{**defaults, "batch_size": 4, "num_workers": 0, **settings})


def write(folder: Path, sizes: dict[str, tuple[int, int]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, size) in enumerate(sizes.items()):
        Image.fromarray(synthetic_image("shapes", seed, size)).save(folder / name)
    return folder


def batches(data: PairDataModule, count: int) -> list[dict[str, Tensor]]:
    data.setup("fit")
    return list(itertools.islice(data.train_dataloader(), count))


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_a_batch() -> None:
    first, second = batches(made(), 2)
    assert first["lr"].shape == (4, 3, 8, 8) and first["lr"].dtype == torch.uint8
    assert first["rgb"].shape == (4, 40, 3) and first["rgb"].dtype == torch.uint8
    assert first["pixels"].shape == (4, 40) and (first["pixels"] < first["size"].prod(dim=1, keepdim=True)).all()
    assert first["size"].shape == (4, 2) and len(set(first["size"][:, 0].tolist())) > 1
    assert first["n"].tolist() == [0, 1, 2, 3] and second["update"].tolist() == [1] * 4


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_change_nothing(num_workers: int) -> None:
    for one, other in zip(batches(made(), 5), batches(made(num_workers=num_workers), 5), strict=True):
        assert same(one, other)


def test_the_position_is_saved_and_taken_up() -> None:
    whole = batches(made(), 6)
    data = made()
    data.load_state_dict({"update": 4})
    assert data.state_dict() == {"update": 4}
    assert all(same(one, other) for one, other in zip(whole[4:], batches(data, 2), strict=True))


def test_ranks_share_a_batch() -> None:
    (whole,) = batches(made(), 1)
    parts = []
    for rank in range(2):
        data = made()
        data.setup("fit")
        data.sampler.rank, data.sampler.world_size = rank, 2
        parts += [next(iter(data.train_dataloader()))]
    assert [part["n"].tolist() for part in parts] == [[0, 2], [1, 3]]
    for key in whole:
        assert torch.equal(torch.stack([part[key] for part in parts], dim=1).flatten(0, 1), whole[key]), key


def test_made_images_are_measured_on_those_held_out() -> None:
    data = made(scales=(4.0,), families=("text", "shapes"))
    data.setup("validate")
    assert not hasattr(data, "images")  # nothing is made that is not needed
    assert data.validation_pairs.names == [f"{family}_{seed}" for seed in HELD_OUT for family in ("text", "shapes")]
    assert data.validation_pairs.scales == (4.0,)


def test_files_are_trained_and_measured_on(tmp_path: Path) -> None:
    train = write(tmp_path / "train", {f"{n}.png": (24 + n, 30) for n in range(6)})
    valid = write(tmp_path / "valid", {"a.png": (24, 36), "b.png": (24, 24)})
    small = write(tmp_path / "small", {"ax2.png": (12, 18), "bx2.png": (12, 12)})
    data = ImagePairs(
        str(train),
        RECIPE,
        40,
        validation=ValidationFolder(str(valid), (2.0, 3.0), {2.0: str(small)}),
        batch_size=6,
        num_workers=0,
        cache_dir=tmp_path / "cache",
    )
    (batch,) = batches(data, 1)
    assert batch["lr"].shape == (6, 3, 8, 8)
    pairs = data.validation_pairs
    assert (pairs.source(2.0), pairs.source(3.0)) == ("paired", "bicubic")
    ((_, (lr, hr)),) = pairs.pairs(2.0, [1])
    assert np.array_equal(lr, np.asarray(Image.open(small / "bx2.png"))) and hr.shape == (24, 24, 3)


def test_images_that_a_recipe_cannot_use_are_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write(tmp_path / "train", {"a.png": (7, 30), "b.png": (20, 20), "c.png": (30, 30)})
    data = ImagePairs(str(root), RECIPE, 40, num_workers=0, cache_dir=tmp_path / "cache")
    with caplog.at_level(logging.WARNING):
        data.setup("fit")
    assert data.usable == [1, 2]
    assert "1 images are left out, such as a.png: smaller than 8x8 pixels" in caplog.text
    assert "1 images are too small for the largest scale" in caplog.text


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"num_samples": 0}, "num_samples"),
        ({"num_seeds": 0}, "num_seeds"),
        ({"num_seeds": 1_000_001}, "num_seeds"),
        ({"size": (4, 4)}, "none of 15 images can be used, such as text_0: smaller than 8x8 pixels"),
        ({"recipe": PairedCrops(8)}, "lr_root"),
        ({"recipe": VariedSizes(8, (8, 16), source=64)}, "smaller than 64x64"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=re.escape(reason)):
        made(**settings).setup("fit")


def test_processes_that_cannot_share_a_batch_are_refused() -> None:
    data = made()
    data.sampler.world_size = 3
    with pytest.raises(InputError, match="cannot be shared equally by 3 processes"):
        data.setup("fit")


def test_a_config_says_it_all(tmp_path: Path) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(PairDataModule, "data")
    node = {
        "class_path": "datasets.image_datamodule.ImagePairs",
        "init_args": {
            "root": "somewhere",
            "recipe": {"class_path": "datasets.image_recipes.RandomCrops", "init_args": {"patch": [16, 128]}},
            "validation": {"root": "elsewhere", "scales": [2, 4], "lr_roots": {2: "there"}},
        },
    }
    data = parser.instantiate(parser.parse_object({"data": node}))["data"]
    assert data.recipe.patch == (16, 128)
    assert data.validation == ValidationFolder("elsewhere", (2.0, 4.0), {2.0: "there"})
