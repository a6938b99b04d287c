"""Clips of the curves: frames in folders, whole and exact."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.rates.clips import CLIPS, Clip, clip_folder, read_frames, save_frames
from datasets.acceptance_video import acceptance_video
from datasets.real_tiny import FILMS


def test_frames_come_back_in_their_order(tmp_path: Path) -> None:
    frames = acceptance_video(12, (6, 10))
    save_frames(frames, tmp_path / "clip")
    assert torch.equal(read_frames(tmp_path / "clip"), frames)


def test_a_clip_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    clip = Clip("bunny", 3, 4, 16)
    save_frames(acceptance_video(4, (16, 16)), tmp_path / "clips" / clip.name)
    assert len(list(clip_folder(clip, tmp_path).glob("*.png"))) == 4
    assert not (tmp_path / "archives").exists()


def test_clips_are_of_films_that_are_pinned() -> None:
    assert {clip.film for clip in CLIPS.values()} <= {film.name for film in FILMS}
    assert len({clip.name for clip in CLIPS.values()}) == len(CLIPS) >= 3
