"""Features group by group."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from stylegan_v.metrics.choices import ClipChoice
from stylegan_v.metrics.clip_choice import ClipAddress
from stylegan_v.metrics.collecting import Ahead, Options, Stopped, Work, frames_of, grouped


def addresses(*lengths: int) -> list[ClipAddress]:
    return [ClipAddress(video, 0, ClipChoice(length)) for video, length in enumerate(lengths)]


@pytest.mark.parametrize(
    ("lengths", "batch_frames", "sizes"),
    [
        ([16] * 5, 32, [2, 2, 1]),
        ([16] * 3, 31, [1, 1, 1]),
        ([16] * 3, 1, [1, 1, 1]),
        ([16, 4, 12, 16, 3, 40, 1], 16, [1, 2, 1, 1, 1, 1]),
        ([], 16, []),
    ],
)
def test_groups_have_no_more_frames_than_said(lengths: list[int], batch_frames: int, sizes: list[int]) -> None:
    clips = addresses(*lengths)
    groups = grouped(clips, batch_frames)
    assert [len(group) for group in groups] == sizes
    assert [address for group in groups for address in group] == clips
    assert all(len(group) == 1 or frames_of(group) <= batch_frames for group in groups)


def test_progress_counts_frames() -> None:
    told = []
    work = Work(Options(progress=lambda done, total: told.append((done, total))), total=48)
    made = list(work.collect(grouped(addresses(16, 16, 16), 32), lambda group: torch.ones(len(group), 2), frames_of))
    assert [len(rows) for rows in made] == [2, 1] and told == [(32, 48), (48, 48)]


def test_stop_is_asked_before_each_group() -> None:
    made = []
    work = Work(Options(stop=lambda: len(made) == 2), total=48)
    with pytest.raises(Stopped):
        list(work.collect([[1], [2], [3]], lambda group: made.append(group) or torch.ones(1, 2), len))
    assert made == [[1], [2]]


def test_groups_are_read_one_ahead() -> None:
    begun = []
    with ThreadPoolExecutor(1) as pool:

        def fetch(group: list[int]):  # noqa: ANN202
            begun.append(group)
            return pool.submit(torch.tensor, group)

        groups = [[1], [2], [3]]
        read = Ahead(fetch, groups)
        assert begun == [[1]]
        for place, group in enumerate(groups):
            assert read(group).tolist() == group and begun == groups[: place + 2]
        with pytest.raises(ValueError, match="another order"):
            read(groups[0])


def test_what_fails_while_it_is_read_ahead_is_said_when_it_is_its_turn() -> None:
    groups = [[1], [0]]
    with ThreadPoolExecutor(1) as pool:
        read = Ahead(lambda group: pool.submit(lambda: torch.tensor([1 // group[0]])), groups)
        assert read(groups[0]).tolist() == [1]
        with pytest.raises(ZeroDivisionError):
            read(groups[1])


def test_nothing_is_read_of_no_groups() -> None:
    before = threading.active_count()
    assert list(Work(Options(), 0).collect([], Ahead(lambda group: None, []), len)) == []
    assert threading.active_count() == before
