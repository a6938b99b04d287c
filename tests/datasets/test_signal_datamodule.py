"""What an update sees of a video."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch

from datasets.signal_datamodule import Batches, SyntheticSignal, VideoSignal
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


@pytest.mark.parametrize("ahead", [False, True])
def test_batches_begin_where_the_data_stand(ahead: bool) -> None:
    data = made()
    data.load_state_dict({"update": 11})
    found = list(islice(Batches(data, 0, 1, ahead), 3))
    assert [batch["update"] for batch in found] == [11, 12, 13]
    assert all(torch.equal(batch["pixels"], data.part(batch["update"])["pixels"]) for batch in found)
    assert data.state_dict() == {"update": 11}


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        made(batch_size=0)
    with pytest.raises(InputError, match="height and width"):
        VideoSignal(Path("video.mp4"), size=[4])
