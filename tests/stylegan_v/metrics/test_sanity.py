"""Rows that say what a score can see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegan_v.metrics.choices import Inception, Kernel
from stylegan_v.metrics.clip_choice import ClipAddress
from stylegan_v.metrics.collecting import Options, Work, frames_of
from stylegan_v.metrics.frechet import frechet_distance
from stylegan_v.metrics.measures import measure_of
from stylegan_v.metrics.protocols import read_protocol
from stylegan_v.metrics.sanity import Halves, sanity

LENGTHS = np.array([20, 15, 16, 40, 3, 17, 100, 30, 16, 18, 19])  # 9 of them have 16 frames
PROTOCOL = read_protocol("fvd_16f")


def read(group: list[ClipAddress]) -> Tensor:
    """Frames whose pixels say their video and number."""
    frames = [[[address.video, time, 0] for time in address.times] for address in group]
    return torch.tensor(frames, dtype=torch.uint8)[..., None, None].expand(-1, -1, -1, 2, 2)


def seen(clips: Tensor) -> Tensor:
    """What changes with the order of frames, and with which they are."""
    values = clips[:, :, 1, 0, 0].float() / 50
    weights = torch.linspace(-1, 1, values.shape[1])
    return torch.stack([values.mean(dim=1), (values * weights).sum(dim=1), values.std(dim=1)], dim=1)


def rows(halves: Halves, measure: Any = None, batch_frames: int = 32, look: Any = seen) -> dict[str, float]:
    measure = measure or measure_of(PROTOCOL.measure, 0)
    work = Work(Options(batch_frames=batch_frames), halves.num_frames(measure))
    found = sanity(halves, measure, lambda groups: read, look, work, seed=0)
    assert work.done == work.total
    return found


def test_halves_have_no_video_in_common() -> None:
    halves = Halves.choose(PROTOCOL, LENGTHS, "clip", 2048)
    videos = [address.video for address in [*halves.first, *halves.second]]
    assert len(halves.first) == len(halves.second) == halves.num == 4
    assert len(set(videos)) == 8 and all(LENGTHS[video] >= 16 for video in videos)


def test_halves_are_no_larger_than_a_draw_of_fakes() -> None:
    assert Halves.choose(PROTOCOL, LENGTHS, "clip", 3).num == 3
    assert Halves.choose(PROTOCOL, LENGTHS, "frame", 33).num == 48, "whole clips"
    assert Halves.choose(PROTOCOL, LENGTHS, "frame", 10).num == 32, "two videos, without which there are no rows"
    assert Halves.choose(read_protocol("fid"), LENGTHS, "frame", 32).num == 32, "single frames come in clips as well"


def test_rows_are_one_half_against_the_other_one_spoilt() -> None:
    halves = Halves.choose(PROTOCOL, LENGTHS, "clip", 2048)
    first, second = seen(read(halves.first)), read(halves.second)
    found = rows(halves)
    assert list(found) == ["real", "frozen", "shuffled", "reversed", "num"] and found["num"] == 4
    assert found["real"] == pytest.approx(frechet_distance(first, seen(second)).item(), rel=1e-6)
    assert found["reversed"] == pytest.approx(frechet_distance(first, seen(second.flip(1))).item(), rel=1e-6)
    assert len(set(found.values())) == 5


def test_spoilt_clips_are_what_they_are_called() -> None:
    halves, shown = Halves.choose(PROTOCOL, LENGTHS, "clip", 2048), []
    rows(halves, batch_frames=1000, look=lambda clips: shown.append(clips[:, :, 1, 0, 0]) or seen(clips))
    reference, real, frozen, shuffled, backwards = shown
    times = torch.tensor([address.times for address in halves.second])
    assert torch.equal(reference, torch.tensor([address.times for address in halves.first], dtype=torch.uint8))
    assert torch.equal(real, times.byte()) and torch.equal(backwards, times.flip(1).byte())
    assert (frozen == frozen[:, :1]).all() and all(frozen[i, 0] in real[i] for i in range(4))
    assert torch.equal(shuffled.sort(dim=1).values, real) and not torch.equal(shuffled, real)


@pytest.mark.parametrize("batch_frames", [1, 48, 1000])
def test_rows_do_not_depend_on_how_clips_are_grouped(batch_frames: int) -> None:
    halves = Halves.choose(PROTOCOL, LENGTHS, "clip", 2048)
    assert rows(halves, batch_frames=batch_frames) == pytest.approx(rows(halves), rel=1e-6)


def test_score_of_single_frames_sees_no_order() -> None:
    halves = Halves.choose(read_protocol("fid"), LENGTHS, "frame", 64)
    found = rows(halves, look=lambda clips: clips[:, :, :2, 0, 0].flatten(0, 1).float() / 50)
    assert found["shuffled"] == pytest.approx(found["real"], rel=1e-6) == found["reversed"]
    assert found["frozen"] != pytest.approx(found["real"], rel=1e-3) and found["num"] == 64


def test_subsets_are_of_as_many_items_as_there_are() -> None:
    halves = Halves.choose(PROTOCOL, LENGTHS, "clip", 2048)
    assert set(rows(halves, measure_of(Kernel(1, 20), 0))) == {"real", "frozen", "shuffled", "reversed", "num"}


def test_scores_of_one_side_look_at_one_half() -> None:
    halves = Halves.choose(PROTOCOL, LENGTHS, "clip", 2048)
    measure, shown = measure_of(Inception(2), 0), []
    rows(halves, measure, look=lambda clips: shown.append(clips) or seen(clips).softmax(dim=1))
    assert sum(len(clips) for clips in shown) == 16 and halves.num_frames(measure) == 4 * frames_of(halves.second)


@pytest.mark.parametrize("num_videos", [0, 1, 3])
def test_too_few_videos_make_no_rows(num_videos: int) -> None:
    halves = Halves.choose(PROTOCOL, np.full(num_videos, 16), "clip", 2048)
    assert rows(halves) == {} and halves.num_frames(measure_of(PROTOCOL.measure, 0)) == 0


def test_too_few_items_for_a_measure_make_no_rows() -> None:
    halves = Halves.choose(PROTOCOL, LENGTHS, "clip", 2048)
    assert rows(halves, measure_of(Inception(5), 0)) == {}
