from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor

from datasets.clips import ClipSampler, SparseClips, crop_box, cut, fit
from datasets.frame_sampling import FrameSampler, RandomSpans, UniformSpacing
from datasets.view_sampling import ClipView, ViewLaw
from errors import InputError


@dataclass
class Numbered:
    """A video whose frames tell who they are: red is the video's number, green the frame's, blue grows to the right."""

    number: int
    length: int
    size: tuple[int, int] = (16, 24)
    fps: float = 25.0
    broken: bool = False

    def __len__(self) -> int:
        return self.length

    def read(self, times: Sequence[int]) -> Tensor:
        if self.broken or not all(0 <= t < self.length for t in times):
            raise IndexError(f"cannot read {times} of {self.length}")
        frames = torch.empty(len(times), 3, *self.size, dtype=torch.uint8)
        frames[:, 0], frames[:, 1] = self.number, torch.tensor(times)[:, None, None] % 256
        frames[:, 2] = torch.arange(self.size[1])
        return frames


@dataclass
class Collection:
    lengths: np.ndarray
    broken: tuple[int, ...] = ()
    labels: np.ndarray = field(init=False)
    opened: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.labels = np.eye(len(self.lengths), dtype=np.float32)

    def open(self, index: int) -> Numbered:
        self.opened.append(index)
        return Numbered(index, int(self.lengths[index]), broken=index in self.broken)


def clips_of(
    lengths: Sequence[int] = (40,) * 10,
    sampler: FrameSampler | None = None,
    broken: tuple[int, ...] = (),
    resolution: tuple[int, int] = (16, 16),
    **settings: int | bool,
) -> SparseClips:
    collection = Collection(np.array(lengths, dtype=np.int64), broken)
    return SparseClips(collection, sampler or RandomSpans(), resolution, **{"batch_size": 4, **settings})


def number(item: dict) -> int:
    return int(item["clip"][0, 0, 0, 0])


def test_an_item_is_what_its_address_says() -> None:
    item = clips_of()[3, 2]
    assert item["clip"].shape == (3, 3, 16, 16) and item["clip"].dtype == torch.uint8
    assert item["t"].shape == (3,) and item["t"].dtype == torch.int64
    assert (item["update"], item["n"]) == (3, 2)
    assert item["clip"][:, 1, 0, 0].tolist() == item["t"].tolist(), "the frames are those of the times"
    assert item["c"].tolist() == np.eye(10)[number(item)].tolist(), "the label is that of the video"


def test_an_item_depends_on_its_address_alone() -> None:
    first, second = clips_of(flip=True, random_crop=True), clips_of(flip=True, random_crop=True)
    keys = [(update, n) for update in range(6) for n in range(4)]
    there = {key: first[key] for key in keys}
    back = {key: second[key] for key in reversed(keys)}
    for key in keys:
        for name in ["clip", "t", "c"]:
            assert torch.equal(there[key][name], back[key][name])
    other = clips_of(flip=True, random_crop=True, seed=1)
    assert any(not torch.equal(there[key]["t"], other[key]["t"]) for key in keys)


def test_every_pass_shows_every_video_once_in_a_new_order() -> None:
    clips = clips_of()
    shown = [number(clips[update, n]) for update in range(5) for n in range(4)]
    assert sorted(shown[:10]) == sorted(shown[10:]) == list(range(10))
    assert shown[:10] != shown[10:]


def test_a_batch_larger_than_the_collection_goes_round_it() -> None:
    clips = clips_of(lengths=[40] * 3, batch_size=8)
    assert sorted(Counter(number(clips[0, n]) for n in range(8)).values()) == [2, 3, 3]


def test_times_of_long_videos_count_from_a_random_window() -> None:
    clips = clips_of(lengths=[250] * 10, sampler=RandomSpans(max_num_frames=40))
    offsets = set()
    for key in itertools.product(range(30), range(4)):
        item = clips[key]
        assert item["t"].min() >= 0 and item["t"].max() < 40
        (offset,) = set((item["clip"][:, 1, 0, 0].long() - item["t"]).tolist())  # one window for all frames
        offsets.add(offset)
    assert min(offsets) < 20 and max(offsets) > 190 and max(offsets) <= 210


def test_single_frames_are_drawn_evenly_from_the_whole_of_a_long_video() -> None:
    """A horizon of one frame: a longer one would draw fewer from both ends, where fewer windows reach."""
    clips = clips_of(lengths=[200] * 10, sampler=RandomSpans(num_frames=1, max_num_frames=1))
    items = [clips[key] for key in itertools.product(range(500), range(4))]
    assert {tuple(item["t"].tolist()) for item in items} == {(0,)}
    drawn = np.bincount([int(item["clip"][0, 1, 0, 0]) // 20 for item in items], minlength=10)
    assert drawn.sum() == 2000 and drawn.min() > 150 and drawn.max() < 250


def test_half_of_the_clips_are_mirrored_all_frames_alike() -> None:
    clips = clips_of(flip=True)
    mirrored = 0
    for key in itertools.product(range(50), range(4)):
        blue = clips[key]["clip"][:, 2].long()
        slope = blue[:, :, 1:] - blue[:, :, :-1]
        assert slope.unique().tolist() in ([1], [-1])
        mirrored += int(slope[0, 0, 0] == -1)
    assert 75 < mirrored < 125


def test_crops_are_central_or_anywhere_but_the_same_for_all_frames() -> None:
    assert {int(clips_of()[0, n]["clip"][0, 2, 0, 0]) for n in range(4)} == {4}
    places = Counter()
    clips = clips_of(random_crop=True)
    for key in itertools.product(range(100), range(4)):
        left = clips[key]["clip"][:, 2, :, 0].unique().tolist()
        assert len(left) == 1
        places[left[0]] += 1
    assert sorted(places) == list(range(9)) and min(places.values()) > 20


def test_a_video_that_cannot_be_read_is_logged_and_replaced(caplog: pytest.LogCaptureFixture) -> None:
    whole, damaged = clips_of(), clips_of(broken=(2, 5))
    with caplog.at_level(logging.WARNING):
        shown = {key: number(damaged[key]) for key in itertools.product(range(5), range(4))}
    assert not {2, 5} & set(shown.values())
    for key, video in shown.items():
        assert video == number(whole[key]) or number(whole[key]) in (2, 5)
    assert "video 2 cannot be read" in caplog.text and "IndexError" in caplog.text


def test_nothing_readable_ends_with_one_clear_error() -> None:
    with pytest.raises(InputError, match="8 videos in a row cannot be read"):
        clips_of(broken=tuple(range(10)))[0, 0]


def test_sources_are_kept_but_not_without_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = clips_of(lengths=[40] * 3)
    for key in itertools.product(range(10), range(4)):
        clips[key]
    assert sorted(clips.videos.opened) == [0, 1, 2]

    monkeypatch.setattr("datasets.clips._MAX_SOURCES", 2)
    clips = clips_of(lengths=[40] * 10)
    for key in itertools.product(range(10), range(4)):
        clips[key]
    assert len(clips._open) == 2 and len(clips.videos.opened) > 30


def test_the_sampler_shares_each_update_among_the_ranks() -> None:
    ranks = [itertools.islice(ClipSampler(6, rank=rank, world_size=3, start=7), 2) for rank in range(3)]
    assert [list(rank) for rank in ranks] == [
        [[(7, 0), (7, 3)], [(8, 0), (8, 3)]],
        [[(7, 1), (7, 4)], [(8, 1), (8, 4)]],
        [[(7, 2), (7, 5)], [(8, 2), (8, 5)]],
    ]


def test_the_sampler_starts_where_its_position_is_when_iterated() -> None:
    sampler = ClipSampler(1)
    assert next(iter(sampler)) == [(0, 0)]
    sampler.start = 5
    assert next(iter(sampler)) == [(5, 0)]


@pytest.mark.parametrize(
    ("size", "target", "box"),
    [
        ((100, 200), (50, 50), (0, 50, 100, 100)),
        ((200, 100), (50, 50), (50, 0, 100, 100)),
        ((144, 256), (144, 256), (0, 0, 144, 256)),
        ((720, 1280), (144, 256), (0, 0, 720, 1280)),
        ((480, 640), (144, 256), (60, 0, 360, 640)),
        ((1, 9), (16, 16), (0, 4, 1, 1)),
    ],
)
def test_the_box_is_the_largest_of_its_shape(size: tuple, target: tuple, box: tuple) -> None:
    assert crop_box(size, target) == box


def test_a_placed_box_reaches_both_ends() -> None:
    assert crop_box((10, 14), (10, 10), np.array([0.0, 0.0]))[:2] == (0, 0)
    assert crop_box((10, 14), (10, 10), np.array([0.999, 0.999]))[:2] == (0, 4)


def test_a_clip_of_the_right_size_is_not_touched() -> None:
    frames = torch.randint(0, 256, (2, 3, 16, 32), dtype=torch.uint8)
    assert torch.equal(fit(frames, (16, 32)), frames)
    assert torch.equal(fit(frames, (16, 16)), frames[:, :, :, 8:24])


def test_reduction_averages_what_it_drops() -> None:
    """A fine chessboard becomes even grey: no pattern of the raster shows in the small frame."""
    board = ((torch.arange(64)[:, None] + torch.arange(64)) % 2 * 255).to(torch.uint8).expand(1, 3, 64, 64)
    small = fit(board, (16, 16)).float()
    assert (small[:, :, 2:-2, 2:-2] - 127.5).abs().max() < 3


def test_scaling_keeps_smooth_images() -> None:
    ramp = (torch.arange(96).float() * 2).to(torch.uint8).expand(2, 3, 96, 96)
    expected = (torch.arange(32) * 3 + 1) * 2.0
    assert (fit(ramp, (32, 32))[:, :, :, 2:-2].float() - expected[2:-2]).abs().max() <= 1
    assert (fit(ramp[:, :, :16, :16], (32, 32)).float().diff(dim=3)[..., 3:-3] - 1).abs().max() <= 1


def test_uniform_spacing_reaches_the_clip() -> None:
    t = clips_of(sampler=UniformSpacing(5, spacings=(3,)))[0, 0]["t"]
    assert t.diff().tolist() == [3, 3, 3, 3]


def test_views_change_nothing_else_of_an_item() -> None:
    plain, seen = clips_of(seed=3, flip=True), clips_of(seed=3, flip=True, views=ViewLaw(), limits=np.full(10, 3.0))
    natives = 0
    for key in [(update, n) for update in range(6) for n in range(4)]:
        one, other = plain[key], seen[key]
        assert number(one) == number(other) and torch.equal(one["t"], other["t"]) and "view" not in one
        if not other["view"].any():
            natives += 1
            assert torch.equal(one["clip"], other["clip"])
        assert torch.equal(other["clip"], seen[key]["clip"]), "an item depends on its address alone"
    assert 6 <= natives <= 18


def test_a_mirrored_clip_is_seen_on_the_other_side() -> None:
    """Blue grows to the right by one a pixel: where a window is can be read from it."""
    law = ViewLaw((1, 1.5), native_share=0, shift=0)
    clips = clips_of(seed=1, flip=True, views=law, limits=np.full(10, 1.5))
    mirrored = set()
    for key in [(update, n) for update in range(8) for n in range(4)]:
        item = clips[key]
        blue, centre = item["clip"][0, 2, 8].float(), float(item["view"][2])
        flipped = bool(blue[0] > blue[-1])
        mirrored.add(flipped)
        assert float(blue.mean()) == pytest.approx(11.5 + 8 * (-centre if flipped else centre), abs=1.0)
    assert mirrored == {True, False}


def test_a_view_is_a_window_of_the_reduced_box_with_surroundings_where_it_is_small() -> None:
    frames = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(cut(frames, (16, 16), ClipView.whole((16, 16))), fit(frames, (16, 16)))
    window = cut(frames, (16, 16), ClipView((32, 32), (4, 8, 20, 24))).int()
    assert (window - fit(frames, (32, 32))[:, :, 4:20, 8:24].int()).abs().max() <= 2
    small = cut(frames, (16, 16), ClipView.whole((12, 12)))
    assert (small[:, :, 2:14, 2:14].int() - fit(frames, (12, 12)).int())[:, :, 2:-2, 2:-2].abs().max() <= 1
    assert torch.equal(small[:, :, 1], small[:, :, 3])
    own = cut(frames, (16, 16), ClipView((64, 64), (40, 48, 56, 64)), np.array([0.99, 0.99]))
    assert torch.equal(own, frames[:, :, 40:56, 80:96]), "its own pixels, of the box that is cut out"
