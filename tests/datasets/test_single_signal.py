"""One video in memory: draws against a plain SplitMix64, frames and pixels against the video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.acceptance_video import acceptance_video
from datasets.single_signal import SingleSignal, check_memory, draws, open_video, read_signal
from errors import InputError

MASK = 2**64 - 1


def split_mix(state: int) -> int:
    """One step as its authors write it, after the counter has moved."""
    z = state & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def folder_of(path: Path, frames: torch.Tensor) -> Path:
    path.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(path / f"{number}.png")
    return path


def test_draws_are_split_mix() -> None:
    golden = 0x9E3779B97F4A7C15
    word = split_mix(split_mix(7 + golden) + 123 + golden)
    expected = [split_mix(word + n * golden) % 2**63 for n in range(50)]
    assert draws((7, 123), torch.arange(50)).tolist() == expected


def test_draws_of_other_seeds_and_updates_are_others() -> None:
    numbers = torch.arange(1000)
    streams = [set(draws(key, numbers).tolist()) for key in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert len(set.union(*streams)) == 4000


def test_pixels_are_drawn_evenly_and_processes_share_a_draw() -> None:
    signal = SingleSignal(acceptance_video(4, (5, 6)))
    whole = signal.pixel_numbers((3, 9), range(60_000))
    counts = whole.bincount(minlength=120)
    assert counts.min() > 380 and counts.max() < 620  # 500 +- 22
    parts = [signal.pixel_numbers((3, 9), range(30_000)), signal.pixel_numbers((3, 9), range(30_000, 60_000))]
    assert torch.equal(torch.cat(parts), whole)


def test_pixels_and_frames_are_those_of_the_video() -> None:
    video = acceptance_video(4, (5, 6))
    signal = SingleSignal(video)
    assert signal.num_bytes == video.numel()
    for number in (0, 29, 30, 77, 119):
        frame, row, column = number // 30, number // 6 % 5, number % 6
        assert torch.equal(signal.pixels[number], video[frame, :, row, column])
    assert torch.equal(signal.frames([2, 0]), video[[2, 0]])


def test_each_frame_comes_once_before_any_comes_again() -> None:
    signal = SingleSignal(acceptance_video(7, (4, 4)))
    row = signal.frame_numbers(0, range(70))
    assert all(sorted(row[start : start + 7]) == list(range(7)) for start in range(0, 70, 7))
    assert len({tuple(row[start : start + 7]) for start in range(0, 70, 7)}) > 5
    assert signal.frame_numbers(0, range(5, 9)) == row[5:9]


def test_a_folder_of_frames_is_read_in_part_and_scaled(tmp_path: Path) -> None:
    video = acceptance_video(12, (9, 7))
    name, source = open_video(folder_of(tmp_path / "video", video), 24.0, tmp_path / "cache")
    whole = read_signal(name, source)
    assert (whole.size, whole.fps) == ((12, 9, 7), 24.0)
    assert torch.equal(whole.frames(range(12)), video)
    part = read_signal(name, source, 10, 100)
    assert torch.equal(part.frames([0, 1]), video[10:])
    small = read_signal(name, source, 0, 2, (4, 5))
    frame = Image.fromarray(video[1].permute(1, 2, 0).numpy()).resize((5, 4), Image.Resampling.LANCZOS)
    assert np.array_equal(small.frames([1])[0].permute(1, 2, 0).numpy(), np.asarray(frame))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"first": 12}, "has 12 frames"),
        ({"num_frames": 0}, "num_frames above 0"),
        ({"size": (0, 4)}, "in pixels"),
        ({"num_frames": 1}, "has 1 frame: "),
    ],
)
def test_parts_that_are_not_there_are_refused(tmp_path: Path, settings: dict, words: str) -> None:
    name, source = open_video(folder_of(tmp_path / "video", acceptance_video(12, (9, 7))), 24.0, tmp_path / "cache")
    with pytest.raises(InputError, match=words):
        read_signal(name, source, **settings)


def test_what_is_no_video_or_several_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match=r"broken\.mp4"):
        open_video(tmp_path / "broken.mp4", 25.0, tmp_path / "cache")
    with pytest.raises(InputError, match="no such"):
        open_video(tmp_path / "missing.mp4", 25.0, tmp_path / "cache")
    for name in "ab":
        folder_of(tmp_path / "two" / name, acceptance_video(2, (4, 4)))
    with pytest.raises(InputError, match="holds 2 videos"):
        open_video(tmp_path / "two", 25.0, tmp_path / "cache")


def test_a_video_too_large_for_memory_is_refused_before_it_is_read() -> None:
    check_memory("video", (10, 8, 8), available=2 * 1920)
    with pytest.raises(InputError, match=r"10 frames of 8x8 take .* give data\.num_frames"):
        check_memory("video", (10, 8, 8), available=2 * 1920 - 1)


def test_only_what_is_seen_is_drawn() -> None:
    signal, plain = (SingleSignal(acceptance_video(6, (5, 7))) for _ in range(2))
    hidden = torch.rand(6, 5, 7, generator=torch.Generator().manual_seed(0)) < 0.4
    hidden[3] = True
    signal.hide(hidden, "mask")
    found = signal.pixel_numbers((3, 9), range(2000))
    seen = (~hidden).flatten().nonzero()[:, 0]
    assert torch.equal(found, seen[draws((3, 9), torch.arange(2000)) % len(seen)])
    assert set(found.tolist()) == set(seen.tolist())
    assert sorted(signal.frame_numbers(0, range(5))) == [0, 1, 2, 4, 5]
    rgb, visible = signal.seen([2, 0])
    assert torch.equal(visible[:, 0], ~hidden[[2, 0]])
    assert torch.equal(rgb, plain.frames([2, 0]) * visible)
    assert signal.num_bytes > plain.num_bytes


def test_odd_frames_are_held_out_of_a_field_of_the_even_ones() -> None:
    for total in (5, 6):
        signal = SingleSignal(acceptance_video(total, (3, 4)))
        signal.hold_out("odd")
        assert (signal.held_out, signal.every) == (tuple(range(1, total, 2)), 2)
        assert signal.field_size == (3, 3, 4) and signal.size == (total, 3, 4)
        assert set((signal.pixel_numbers((0, 0), range(1000)) // 12).tolist()) == {0, 2, 4}


def test_a_list_of_frames_is_held_out_of_a_field_of_all_beside_a_mask() -> None:
    signal = SingleSignal(acceptance_video(5, (3, 4)))
    signal.hold_out([3, 1, 3])
    hidden = torch.zeros(5, 3, 4, dtype=torch.bool)
    hidden[:, 1] = True
    signal.hide(hidden, "mask")
    assert (signal.held_out, signal.every, signal.field_size) == ((1, 3), 1, (5, 3, 4))
    hidden[[1, 3]] = True
    assert torch.equal(signal.visible.hidden, hidden)


@pytest.mark.parametrize("frames", ["even", [], [-1], [5], [0, 1, 2, 3]])
def test_frames_that_cannot_be_held_out_are_refused(frames: str | list[int]) -> None:
    with pytest.raises(InputError, match="held_out"):
        SingleSignal(acceptance_video(5, (3, 4))).hold_out(frames)


def test_masks_that_leave_all_or_nothing_are_refused() -> None:
    for value, words in ((False, "hides no pixel"), (True, "hides all pixels")):
        with pytest.raises(InputError, match=f"a.png: {words}"):
            SingleSignal(acceptance_video(2, (3, 4))).hide(torch.full((2, 3, 4), value), "a.png")
