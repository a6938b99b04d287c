from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.datamodule import ClipDataModule, SyntheticVideos, VideoFolder
from datasets.frame_sampling import RandomSpans
from errors import InputError
from stylegan_v.metrics.reals import RealClips, build_data

SPRITES = {"num_videos": 10, "num_frames": 20, "resolution": 16, "first_seed": 3}


def sprites(**settings: Any) -> SyntheticVideos:
    return SyntheticVideos(**{**SPRITES, **settings}, frame_sampler=RandomSpans(3))


@pytest.fixture
def folder(tmp_path: Path) -> ClipDataModule:
    """Three videos of png frames whose brightness is 60 x video + frame; the third is too short to be measured."""
    for video, length in enumerate([18, 17, 9]):
        (tmp_path / "videos" / str(video)).mkdir(parents=True)
        for frame in range(length):
            grey = Image.new("RGB", (16, 16), (60 * video + frame,) * 3)
            grey.save(tmp_path / "videos" / str(video) / f"{frame}.png")
    return VideoFolder(tmp_path / "videos", 16, frame_sampler=RandomSpans(3), cache_dir=tmp_path / "cache")


def test_clips_are_consecutive_frames_of_seeds_that_training_does_not_use() -> None:
    data = sprites()
    reals = RealClips(data, num_clips=4, num_frames=16)
    clips = reals.draw(1)
    assert reals.held_out and clips.shape == (4, 16, 3, 16, 16)
    # Ten videos of training from seed 3 on, four of draw 0, then these.
    for i in range(4):
        video = data.video(3 + 10 + 4 + i, 20, (16, 16))
        candidates = [video.read(np.arange(start, start + 16)) for start in range(5)]
        assert any(torch.equal(clips[i], candidate) for candidate in candidates)


def test_draws_are_repeatable_and_differ() -> None:
    reals = RealClips(sprites(), num_clips=4, num_frames=16)
    assert torch.equal(reals.draw(0), RealClips(sprites(), 4, 16).draw(0))
    assert not torch.equal(reals.draw(0), reals.draw(1))
    assert not torch.equal(reals.draw(0), RealClips(sprites(), 4, 16, seed=1).draw(0))


def test_videos_of_a_folder_are_those_of_training_each_once_before_any_twice(folder: ClipDataModule) -> None:
    reals = RealClips(folder, num_clips=6, num_frames=16)
    assert not reals.held_out
    values = reals.draw(0)[:, :, 0, 0, 0].int()
    assert sorted((values[:, 0] // 60).tolist()) == [0, 0, 0, 1, 1, 1]
    assert torch.equal(values - values[:, :1], torch.arange(16, dtype=torch.int32).expand(6, -1))


def test_starts_of_generated_clips_are_those_of_training() -> None:
    reals = RealClips(sprites(num_frames=40), num_clips=4, num_frames=16)
    starts = reals.starts(0, 500)
    assert starts.min() == 0 and starts.max() == 40 - 16
    assert (starts != reals.starts(1, 500)).any()


def test_horizon_shorter_than_a_clip_starts_at_zero() -> None:
    data = SyntheticVideos(**SPRITES, frame_sampler=RandomSpans(3, max_num_frames=8))
    assert set(RealClips(data, 4, 16).starts(0, 20)) == {0}


def test_conditions_are_as_frequent_as_in_training() -> None:
    reals = RealClips(sprites(labelled=True, num_videos=3), num_clips=300, num_frames=16)
    conditions = reals.conditions(0)
    assert conditions.shape == (300, reals.data.c_dim) and conditions.sum() == 300
    expected = torch.from_numpy(reals.data.labels.mean(axis=0))
    torch.testing.assert_close(conditions.mean(dim=0), expected, atol=0.1, rtol=0)
    assert RealClips(sprites(), 5, 16).conditions(0).shape == (5, 0)


def test_too_short_videos_are_refused() -> None:
    with pytest.raises(InputError, match="16 frames"):
        RealClips(sprites(num_frames=15), num_clips=4, num_frames=16)


def test_data_module_is_built_from_a_config() -> None:
    sampler = {"class_path": "datasets.frame_sampling.RandomSpans", "init_args": {"num_frames": 2}}
    node = {"class_path": "datasets.datamodule.SyntheticVideos", "init_args": {**SPRITES, "frame_sampler": sampler}}
    data = build_data({"data": node})
    assert isinstance(data, SyntheticVideos) and data.first_seed == 3 and data.frame_sampler.num_frames == 2


@pytest.mark.parametrize(
    "node",
    [
        {"class_path": "os.system", "init_args": {}},
        {"class_path": "datasets.datamodule.SyntheticVideos", "init_args": {**SPRITES, "video": "os.system"}},
        {
            "class_path": "datasets.datamodule.SyntheticVideos",
            "init_args": {**SPRITES, "frame_sampler": {"class_path": "subprocess.Popen", "init_args": {"args": "ls"}}},
        },
    ],
)
def test_nothing_outside_of_datasets_is_imported(node: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="is not part of datasets"):
        build_data({"data": node})
