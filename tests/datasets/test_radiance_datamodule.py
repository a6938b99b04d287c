from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from datasets.radiance_datamodule import SphereScene, TransformsScene
from errors import InputError
from tests.datasets.test_transforms_scene import write_scene


def _spheres(**settings: object) -> SphereScene:
    data = SphereScene(**{"num_views": 3, "size": [6, 8], "num_test_views": 2, "batch_size": 32} | settings)
    data.setup()
    return data


def test_a_batch_holds_the_colours_of_its_pixels() -> None:
    data = _spheres()
    part = data.part(4)
    view, rest = part["pixels"] // 48, part["pixels"] % 48
    assert_close(part["rgb"], data.views.rgb[view, rest // 8, rest % 8])
    assert part["rgb"].dtype == torch.float32 and part["update"] == 4


def test_processes_share_an_update_that_hangs_on_seed_and_number_alone() -> None:
    data = _spheres()
    parts = [data.part(7, rank, 4)["pixels"] for rank in range(4)]
    assert_close(torch.cat(parts), data.part(7)["pixels"])
    assert_close(_spheres().part(7)["pixels"], data.part(7)["pixels"])
    assert not torch.equal(_spheres(seed=1).part(7)["pixels"], data.part(7)["pixels"])


def test_a_resumed_run_goes_on_with_the_next_update() -> None:
    data = _spheres()
    batches = list(itertools.islice(data.train_dataloader(), 3))
    assert [batch["update"] for batch in batches] == [0, 1, 2]
    other = _spheres()
    other.load_state_dict({"update": 2})
    resumed = next(iter(other.train_dataloader()))
    assert resumed["update"] == 2
    assert_close(resumed["pixels"], batches[2]["pixels"])


def test_test_views_are_others() -> None:
    data = _spheres(num_views=8, num_test_views=8)
    distances = torch.cdist(data.views.c2w[:, :3, 3], data.test_views.c2w[:, :3, 3])
    assert distances.min() > 0.3


def test_one_view_an_update_where_asked_for() -> None:
    assert len((_spheres(one_view=True).part(0)["pixels"] // 48).unique()) == 1


def test_moving_spheres_have_a_moment_per_view() -> None:
    data = _spheres(moving=True)
    assert data.views.times.tolist() == [0, 0.5, 1] and data.test_views.times.tolist() == [0, 1]


def test_a_folder_is_read_by_its_splits(tmp_path: Path) -> None:
    write_scene(tmp_path, "train", 3)
    write_scene(tmp_path, "test", 2)
    data = TransformsScene(tmp_path, near=2.5, far=5.5, batch_size=16)
    data.setup()
    assert (len(data.views), len(data.test_views), data.views.near, data.views.far) == (3, 2, 2.5, 5.5)
    part = data.part(0)
    assert part["rgb"].dtype == torch.float32 and part["rgb"].min() >= 0 and part["rgb"].max() <= 1
    assert_close(part["rgb"], data.views.colours(part["pixels"]))


def test_of_a_single_file_every_eighth_frame_is_held_out(tmp_path: Path) -> None:
    write_scene(tmp_path, "train", 9).rename(tmp_path / "transforms.json")
    data = TransformsScene(tmp_path)
    data.setup()
    frames = json.loads((tmp_path / "transforms.json").read_text())["frames"]
    assert len(data.views) == 7
    held_out = torch.tensor([frames[number]["transform_matrix"] for number in (0, 8)])
    assert_close(data.test_views.c2w, held_out)


def test_splits_must_be_alike(tmp_path: Path) -> None:
    write_scene(tmp_path, "train", 2)
    write_scene(tmp_path, "test", 2, times=True)
    with pytest.raises(InputError, match="or times where that has none"):
        TransformsScene(tmp_path).setup()


def test_a_single_frame_cannot_be_held_out(tmp_path: Path) -> None:
    write_scene(tmp_path, "train", 1).rename(tmp_path / "transforms.json")
    with pytest.raises(InputError, match="too few to hold some out"):
        TransformsScene(tmp_path).setup()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"near": 6.0, "far": 2.0}, "data.near, data.far"),
        ({"far": float("inf")}, "data.near, data.far"),
        ({"near": float("nan")}, "data.near, data.far"),
        ({"reduce": 0}, "data.reduce"),
        ({"test_split": "train"}, "data.test_split"),
        ({"batch_size": 0}, "data.batch_size"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, settings: dict, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        TransformsScene(tmp_path, **settings)


@pytest.mark.parametrize("settings", [{"size": [4]}, {"size": [0, 4]}, {"num_views": 0}, {"num_test_views": 0}])
def test_spheres_need_views_and_pixels(settings: dict) -> None:
    with pytest.raises(InputError, match="data: num_views"):
        _spheres(**settings)


def test_more_views_than_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.radiance_datamodule.available_memory", lambda device: 10**6)
    with pytest.raises(InputError, match=r"data: these views take .* give fewer"):
        SphereScene(size=(40, 40)).setup()
