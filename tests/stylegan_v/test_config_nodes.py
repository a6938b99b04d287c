from __future__ import annotations

import copy
from typing import Any

import pytest

from datasets.datamodule import ClipDataModule, SyntheticVideos
from errors import InputError
from stylegan_v.augment import AugmentPipe
from stylegan_v.config_nodes import instantiate

NODE = {
    "class_path": "datasets.datamodule.SyntheticVideos",
    "init_args": {
        "num_videos": 2,
        "num_frames": 10,
        "resolution": 32,
        "video": {"class_path": "datasets.synthetic.SpriteVideo", "init_args": {"max_sprites": 1}},
        "frame_sampler": {"class_path": "datasets.frame_sampling.RandomSpans", "init_args": {"num_frames": 2}},
    },
}


@pytest.mark.filterwarnings("error::DeprecationWarning")
def test_nested_classes_are_built_as_training_builds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "all")  # not only the first of each
    data = instantiate(NODE, ClipDataModule, "data")
    assert isinstance(data, SyntheticVideos) and data.frame_sampler.num_frames == 2
    assert len(data.video(0, 10, (16, 16)).sprites) == 1


@pytest.mark.parametrize(
    "keys, value, says",
    [
        (("init_args", "resolution"), 3, "resolution: 3 is not possible"),
        (("init_args", "resolutio"), 3, "data.resolutio: no such option"),
        (("init_args", "frame_sampler", "init_args", "num_frames"), "a", "data.frame_sampler.num_frames: "),
        (("class_path",), "datasets.datamodule.Nothing", "Nothing"),
        (("class_path",), "torch.nn.Linear", "not correspond to a subclass of ClipDataModule"),
    ],
)
def test_what_cannot_be_built_is_named(keys: tuple[str, ...], value: Any, says: str) -> None:
    node = copy.deepcopy(NODE)
    part = node
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    with pytest.raises(InputError, match=says):
        instantiate(node, ClipDataModule, "data")


def test_missing_node() -> None:
    with pytest.raises(InputError, match=r"model\.augment: missing"):
        instantiate(None, AugmentPipe, "model.augment")
