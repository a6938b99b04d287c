from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from datasets.collection import IndexedVideos, RenderedVideos
from datasets.index import scan
from errors import InputError
from stylegan_v.checkpoints import write_checkpoint
from stylegan_v.metrics.motion.sets import FilmedVideos, GeneratedVideos, holds_weights, open_collection
from stylegan_v.rendering import draw_latents, render
from stylegan_v.weights import CONFIG, MODEL
from tests.stylegan_v import tiny_gan

SYNTHETIC = {
    "class_path": "datasets.datamodule.SyntheticVideos",
    "init_args": {"num_videos": 5, "num_frames": 24, "resolution": 16, "first_seed": 7, "labelled": True},
}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Videos of 18, 17 and 9 png frames whose brightness is 60 x video + frame."""
    for video, length in enumerate([18, 17, 9]):
        (tmp_path / "videos" / str(video)).mkdir(parents=True)
        for frame in range(length):
            grey = Image.new("RGB", (20, 16), (60 * video + frame,) * 3)
            grey.save(tmp_path / "videos" / str(video) / f"{frame}.png")
    return tmp_path / "videos"


def levels(videos: FilmedVideos, number: int, chunk: int = 32) -> np.ndarray:
    return torch.cat(list(videos.parts(number, chunk)))[:, 0, 0, 0].numpy().astype(int)


def test_generated_videos_are_those_of_the_seed() -> None:
    generator, times = tiny_gan.generator(), 5 + np.arange(10.0)
    videos = GeneratedVideos(generator, times, seed=3)
    parts = list(videos.parts(2, 4))
    assert [len(part) for part in parts] == [4, 4, 2] and parts[0].dtype == torch.uint8
    (expected,) = render(generator, draw_latents(generator, 3, [2]), torch.from_numpy(times))
    assert (torch.cat(parts).int() - expected[0].int()).abs().max() <= 1
    assert not torch.equal(torch.cat(parts), torch.cat(list(videos.parts(1, 4))))


def test_labels_decide_what_is_generated() -> None:
    generator, times = tiny_gan.generator(c_dim=3), np.arange(4.0)
    c = torch.eye(3)[[0, 2]]
    (frames,) = GeneratedVideos(generator, times, 0, c).parts(1, 8)
    (expected,) = render(generator, draw_latents(generator, 0, [1], c=c[1:]), torch.from_numpy(times))
    assert torch.equal(frames, expected[0])


def test_stretches_are_consecutive_and_every_video_comes_once_before_any_twice(folder: Path) -> None:
    videos = FilmedVideos(IndexedVideos(scan(folder, progress=False)), 16, None, seed=0)
    assert videos.num_usable == 2 and videos.resolution == (16, 20)
    seen = np.stack([levels(videos, number) for number in range(6)])
    assert np.array_equal(np.diff(seen, axis=1), np.ones((6, 15)))
    assert np.sort((seen[:, 0] // 60).reshape(3, 2), axis=1).tolist() == [[0, 1]] * 3
    assert np.array_equal(levels(videos, 1, chunk=5), seen[1])


def test_starts_are_anywhere_or_at_the_first_frame(folder: Path) -> None:
    collection = IndexedVideos(scan(folder, progress=False))
    starts = {int(levels(FilmedVideos(collection, 9, (16, 16), seed), 0)[0]) % 60 for seed in range(30)}
    assert len(starts) > 4 and max(starts) <= 9
    assert {int(levels(FilmedVideos(collection, 9, (16, 16), s, True), 0)[0]) % 60 for s in range(9)} == {0}


def test_too_short_videos_are_refused_with_the_longest(folder: Path) -> None:
    with pytest.raises(InputError, match="no video has 19 frames: give --num_frames, at most 18"):
        FilmedVideos(IndexedVideos(scan(folder, progress=False)), 19, None, 0)


def test_config_means_held_out_synthetic_videos_of_any_length(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"data": SYNTHETIC}))
    collection = open_collection(path, 40)
    assert isinstance(collection, RenderedVideos) and collection.first_seed == 12
    assert collection.lengths.tolist() == [40] * 5 and open_collection(path, 8).lengths.tolist() == [24] * 5
    videos = FilmedVideos(collection, 40, None, 0)
    labels = videos.labels(5)
    assert labels.shape[0] == 5 and torch.equal(labels.sum(dim=1), torch.ones(5))


def test_run_and_checkpoint_mean_the_data_of_their_config(tmp_path: Path, folder: Path) -> None:
    data = {"class_path": "datasets.datamodule.VideoFolder", "init_args": {"root": str(folder), "resolution": 16}}
    write_checkpoint({"state_dict": {}, "config": yaml.safe_dump({"data": data})}, tmp_path / "last.ckpt")
    for path in (tmp_path, tmp_path / "last.ckpt"):
        assert holds_weights(path)
        assert sorted(open_collection(path, 9).lengths.tolist()) == [9, 17, 18]
    assert not holds_weights(folder) and sorted(open_collection(folder, 9).lengths.tolist()) == [9, 17, 18]


def test_folder_of_weights_means_the_data_of_the_config_beside_them(tmp_path: Path) -> None:
    (tmp_path / MODEL).touch()
    with pytest.raises(InputError, match=r"config\.yaml: no such file, .* give --real"):
        open_collection(tmp_path, 8)
    (tmp_path / CONFIG).write_text(yaml.safe_dump({"data": SYNTHETIC}))
    assert len(open_collection(tmp_path, 8).lengths) == 5


@pytest.mark.parametrize(
    "config, says",
    [
        ({"model": {}}, "names no data"),
        ({"data": {"class_path": "os.system"}}, "not part of"),
        ([1], "not a plain tree"),
    ],
)
def test_configs_without_data_are_refused(tmp_path: Path, config: Any, says: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match=says):
        open_collection(path, 8)
