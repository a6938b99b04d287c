"""What an update sees of a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.acceptance_video import acceptance_video
from datasets.signal_datamodule import SyntheticSignal, VideoSignal
from errors import InputError


def made(**settings: int) -> SyntheticSignal:
    data = SyntheticSignal(5, (6, 8), **({"batch_size": 40, "batch_frames": 2} | settings))
    data.setup("fit")
    return data


def test_a_batch_is_pixels_with_their_colours() -> None:
    data = made()
    batch = data.part(3)
    assert batch["update"] == 3 and batch["pixels"].shape == (40,) and batch["rgb"].dtype == torch.uint8
    assert torch.equal(batch["rgb"], data.signal.pixels[batch["pixels"]])
    assert not torch.equal(batch["pixels"], data.part(4)["pixels"])


@pytest.mark.parametrize("whole_frames", [False, True])
def test_processes_share_what_one_would_see(whole_frames: bool) -> None:
    data = made()
    data.whole_frames = whole_frames
    name = "frames" if whole_frames else "pixels"
    whole, parts = data.part(7), [data.part(7, rank, 2) for rank in range(2)]
    for key in (name, "rgb"):
        assert torch.equal(torch.cat([part[key] for part in parts]), whole[key])


def test_whole_frames_come_in_turn() -> None:
    data = made()
    data.whole_frames = True
    seen = torch.cat([data.part(update)["frames"] for update in range(5)])
    assert sorted(seen.tolist()) == sorted(2 * list(range(5)))


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        made(batch_size=0)
    with pytest.raises(InputError, match="height and width"):
        VideoSignal(Path("video.mp4"), size=[4])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A video of 6 frames of 10 x 12, and of the same with other pixels where mask.png is white."""
    hidden = np.zeros((10, 12), dtype=np.uint8)
    hidden[2:6, 3:8] = 255
    Image.fromarray(hidden).save(tmp_path / "mask.png")
    for name, value in (("video", None), ("other", 7)):
        (tmp_path / name).mkdir()
        for number, frame in enumerate(acceptance_video(6, (10, 12)).permute(0, 2, 3, 1).numpy()):
            pixels = frame if value is None else np.where(hidden[..., None], np.uint8(value), frame)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize("settings", [{}, {"held_out": "odd"}, {"held_out": [2]}, {"size": [10, 24]}])
@pytest.mark.parametrize("whole_frames", [False, True])
def test_what_is_hidden_changes_nothing_that_training_sees(
    settings: dict[str, Any], whole_frames: bool, folder: Path
) -> None:
    found = []
    for name in ("video", "other"):
        data = VideoSignal(
            folder / name, **settings, mask=folder / "mask.png", batch_size=500, cache_dir=folder / "cache"
        )
        data.setup("fit")
        data.whole_frames = whole_frames
        found.append([data.part(update) for update in range(7)])
    for one, other in zip(*found, strict=True):
        assert one.keys() == other.keys() and ("visible" in one) == whole_frames
        assert all(torch.equal(one[key], other[key]) for key in one.keys() - {"update"})
        frames = one["frames"] if whole_frames else one["pixels"] // (240 if "size" in settings else 120)
        held_out = {"odd": {1, 3, 5}}.get(str(settings.get("held_out")), set(settings.get("held_out", [])))
        assert not set(frames.tolist()) & held_out


def test_a_mask_is_cut_with_the_video_and_says_where_it_is_wrong(folder: Path) -> None:
    data = VideoSignal(folder / "video", mask=folder / "mask.png", first=2, num_frames=3, cache_dir=folder / "cache")
    data.setup("fit")
    assert data.signal.visible.hidden.shape == (3, 10, 12) and data.signal.visible.count == 3 * (120 - 20)
    data = VideoSignal(folder / "video", mask=folder / "video", size=[7, 7], cache_dir=folder / "cache")
    with pytest.raises(InputError, match="hides all"):
        data.setup("fit")
