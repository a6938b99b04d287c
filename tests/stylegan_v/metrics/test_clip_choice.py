"""Which clips are measured, as functions of lengths and a seed."""

from __future__ import annotations

import numpy as np
import pytest

from errors import InputError
from stylegan_v.metrics.choices import ClipChoice, RealChoice
from stylegan_v.metrics.clip_choice import (
    ClipAddress,
    as_real,
    choose_real,
    offset,
    one_per_video,
    random_videos,
)

LENGTHS = np.array([20, 15, 16, 40, 3, 17, 100])
USABLE = [0, 2, 3, 5, 6]  # with 16 frames


def assert_uniform(found: list[int], num_values: int) -> None:
    """Chi-squared test at the level of about 1e-6."""
    counts = np.bincount(found, minlength=num_values)
    assert len(counts) == num_values
    statistic = ((counts - len(found) / num_values) ** 2).sum() / (len(found) / num_values)
    freedom = num_values - 1
    assert statistic < freedom + 5 * np.sqrt(2 * freedom) + 12


@pytest.mark.parametrize("clip", [ClipChoice(16), ClipChoice(4, 4), ClipChoice(2, 8)])
def test_clips_lie_within_long_enough_videos(clip: ClipChoice) -> None:
    chosen = choose_real(LENGTHS, RealChoice(), clip, seed=3)
    assert [address.video for address in chosen.clips] == USABLE and chosen.num_skipped == 2
    for address in chosen.clips:
        assert address.times == [address.start + clip.stride * i for i in range(clip.num_frames)]
        assert address.start >= 0 and address.times[-1] < LENGTHS[address.video]


@pytest.mark.parametrize(("length", "clip"), [(20, ClipChoice(16)), (128, ClipChoice(16, 8)), (9, ClipChoice(9))])
def test_offsets_are_uniform_over_all_that_fit(length: int, clip: ClipChoice) -> None:
    """Up to the one at which the last frame of the clip is that of the video: one less than length - span + 1."""
    found = [offset(length, clip, seed, video=2) for seed in range(4000)]
    assert_uniform(found, length - clip.span + 1)
    assert_uniform([offset(length, clip, 0, video) for video in range(4000)], length - clip.span + 1)


def test_offset_depends_on_seed_and_video_alone() -> None:
    clip = ClipChoice(16)
    some = one_per_video(LENGTHS, clip, 1, starts="random", order="index", max_num=2).clips
    all_of_them = one_per_video(LENGTHS, clip, 1, starts="random", order="random", max_num=None).clips
    others = one_per_video(np.r_[LENGTHS, 50], clip, 1, starts="random", order="index", max_num=None).clips
    assert set(some) <= set(all_of_them) <= set(others)


def test_random_order_has_every_video_once() -> None:
    orders = [
        [
            address.video
            for address in one_per_video(
                LENGTHS, ClipChoice(16), seed, starts="zero", order="random", max_num=None
            ).clips
        ]
        for seed in range(2000)
    ]
    assert all(sorted(order) == USABLE for order in orders)
    assert_uniform([USABLE.index(order[0]) for order in orders], len(USABLE))
    assert_uniform([USABLE.index(order[-1]) for order in orders], len(USABLE))


def test_clips_that_start_at_zero() -> None:
    chosen = one_per_video(LENGTHS, ClipChoice(16), 0, starts="zero", order="index", max_num=3)
    assert chosen.clips == [ClipAddress(video, 0, ClipChoice(16)) for video in USABLE[:3]]


def test_no_video_is_long_enough() -> None:
    chosen = choose_real(LENGTHS, RealChoice(), ClipChoice(128), 0)
    assert chosen.clips == [] and chosen.num_skipped == len(LENGTHS)


@pytest.mark.parametrize("max_num", [None, 1, 16, 17, 100, 211, 300])
def test_every_frame_once_in_order(max_num: int | None) -> None:
    real = RealChoice(take="every_frame", max_num=max_num)
    chosen = choose_real(LENGTHS, real, ClipChoice(16), 0)
    found = [(address.video, time) for address in chosen.clips for time in address.times]
    assert found == [(video, time) for video, length in enumerate(LENGTHS) for time in range(length)][:max_num]
    assert chosen.num_skipped == 0 and all(address.clip.num_frames <= 16 for address in chosen.clips)


def test_random_frames_are_different_ones_with_equal_chances() -> None:
    real = RealChoice(take="random_frames", max_num=30)
    total, ends = int(LENGTHS.sum()), np.cumsum(LENGTHS)
    counts = np.zeros(total)
    for seed in range(2000):
        clips = choose_real(LENGTHS, real, ClipChoice(1), seed).clips
        places = [int(ends[address.video] - LENGTHS[address.video]) + address.start for address in clips]
        assert len(set(places)) == 30 and places == sorted(places)
        assert all(address.start < LENGTHS[address.video] and address.times == [address.start] for address in clips)
        counts[places] += 1
    assert_uniform(np.repeat(np.arange(total), counts.astype(int)).tolist(), total)


def test_random_frames_are_no_more_than_there_are() -> None:
    real = RealChoice(take="random_frames", max_num=10_000)
    assert len(choose_real(LENGTHS, real, ClipChoice(1), 0).clips) == LENGTHS.sum()


def test_times_of_fakes_are_distributed_as_those_of_reals() -> None:
    lengths, clip = np.array([18, 20, 5]), ClipChoice(16)
    found = np.bincount(as_real(lengths, clip, range(12000), 1024, seed=0)) / 12000
    expected = np.array([1 / 3, 1 / 3, 1 / 3, 0, 0]) / 2 + np.full(5, 1 / 5) / 2
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_times_of_fakes_end_where_videos_are_looked_at() -> None:
    clip = ClipChoice(16)
    assert set(as_real(np.array([5000]), clip, range(500), 20, seed=0)) == set(range(5))
    assert set(as_real(np.array([5000]), clip, range(50), 3, seed=0)) == {0}
    assert as_real(LENGTHS, clip, [7, 3], 1024, 0) == [as_real(LENGTHS, clip, [n], 1024, 0)[0] for n in (7, 3)]


def test_no_times_without_long_enough_videos() -> None:
    with pytest.raises(InputError, match="no real video has the 128 frames"):
        as_real(LENGTHS, ClipChoice(128), [0], 1024, 0)


def test_labels_are_of_any_video() -> None:
    assert_uniform(random_videos(7, range(4000), seed=0), 7)
    assert random_videos(7, [5, 2], 1) == [random_videos(7, [n], 1)[0] for n in (5, 2)]
