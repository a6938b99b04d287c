from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.settings import read_settings
from tests.generate_runs import array, frames_in, make_run, refusal, run_verb


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def test_loop_goes_on_with_its_first_frame(run: Path, tmp_path: Path) -> None:
    run_verb(run, "loop", "--num_frames", 30, "--format", "npy", "--out", tmp_path / "once.npy", "--fps", 12)
    # The same ring at twice the rate, from its end on.
    more = ("--num_frames", 60, "--fps", 24, "--start", 2.5, "--format", "npy", "--out", tmp_path / "on.npy")
    run_verb(run, "loop", *more)
    once, on = array(tmp_path / "once.npy"), array(tmp_path / "on.npy")
    assert np.abs(on[::2] - once).max() <= 1
    run_verb(run, "loop", "--num_frames", 30, "--fps", 12, "--speed=-1", "--format", "npy", "--out", tmp_path)
    back = array(tmp_path / "loop_of_video_00000.npy")
    assert np.abs(back[[0, *range(29, 0, -1)]] - once).max() <= 1
    moves = np.abs(np.diff(np.concatenate([on, on[:2]]), axis=0)).mean(axis=(1, 2, 3))
    assert moves[59] < 2 * np.median(moves) and np.median(moves) > 0


def test_grid_crosses_contents_and_motions(run: Path, tmp_path: Path) -> None:
    how = ("--num_frames", 3, "--format", "npy", "--start", 1)
    run_verb(run, "grid", "--contents", "0-2", "--motions", "1,2", *how, "--out", tmp_path)
    run_verb(run, "sample", "--num_videos", 3, *how, "--out", tmp_path)
    run_verb(run, "freeze", "--videos", "1-2", "--of", 0, *how, "--out", tmp_path)
    run_verb(run, "freeze", "--videos", "0,2", "--of", 1, "--what", "motion", *how, "--out", tmp_path)
    cells = array(tmp_path / "contents_and_motions.npy")
    assert cells.shape == (3, 34, 52, 3)
    expected = {
        (0, 0): "motion_of_video_00001",
        (0, 1): "video_00001",
        (0, 2): "content_of_video_00002",
        (1, 0): "motion_of_video_00002",
        (1, 2): "video_00002",
    }
    for (row, column), name in expected.items():
        cell = cells[:, 18 * row : 18 * row + 16, 18 * column : 18 * column + 16]
        assert np.abs(cell - array(tmp_path / f"{name}.npy")).max() <= 1, name
    assert np.abs(cells[:, :16] - cells[:, 18:]).max() > 3


def test_interpolate_begins_and_ends_at_its_videos(run: Path, tmp_path: Path) -> None:
    how = ("--num_frames", 17, "--fps", 10, "--format", "npy")
    run_verb(run, "interpolate", "--videos", "3,1", "--what", "content", *how, "--out", tmp_path)
    run_verb(run, "freeze", "--what", "motion", "--of", 3, "--videos", "3,1", *how, "--out", tmp_path)
    way = array(tmp_path / "interpolation.npy")
    first, last = (array(tmp_path / f"content_of_video_0000{i}.npy") for i in (3, 1))
    assert np.abs(way[0] - first[0]).max() <= 1 and np.abs(way[-1] - last[-1]).max() <= 1
    assert np.abs(way[8] - first[8]).max() > 3 and np.abs(way[8] - last[8]).max() > 3


@pytest.mark.parametrize("what", ["content", "motion", "both"])
def test_interpolate_in_a_loop(run: Path, tmp_path: Path, what: str) -> None:
    how = ("--videos", "3,1,4", "--what", what, "--pace", "eased", "--loop", "--format", "npy")
    run_verb(run, "interpolate", *how, "--num_frames", 40, "--out", tmp_path / "way.npy")
    moves = np.abs(np.diff(array(tmp_path / "way.npy")[[*range(40), 0]], axis=0)).mean(axis=(1, 2, 3))
    assert moves[39] < 2.5 * np.median(moves) and moves[:39].max() > 0


def test_mix_shows_parents_and_children(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    how = ("--num_frames", 2, "--format", "npy")
    run_verb(run, "mix", "--videos", "0,1", "--styles", "2-4", "--layers", "0-1", *how, "--out", tmp_path / "all.npy")
    run_verb(run, "mix", "--videos", 1, "--styles", 4, "--layers", "0-1", "--no_parents", *how, "--out", tmp_path)
    run_verb(run, "sample", "--num_videos", 5, *how, "--out", tmp_path)
    together = array(tmp_path / "all.npy")
    assert together.shape == (2, 52, 70, 3) and (together[:, :16, :16] == 0).all()
    for place, name in {(0, 3): "video_00004", (2, 0): "video_00001", (2, 3): "mix"}.items():
        top, left = (18 * i for i in place)
        cell = together[:, top : top + 16, left : left + 16]
        assert np.abs(cell - array(tmp_path / f"{name}.npy")).max() <= 1, name
    args = ["--ckpt", str(run), "--layers", "0-6", "--out", str(tmp_path / "x")]
    assert "layers: 6 is too large: give layers from 0 to 5" in refusal(capsys, "mix", *args)


def test_frames_at_any_moments(run: Path, tmp_path: Path) -> None:
    (tmp_path / "times.txt").write_text("20\n3.5\n")
    run_verb(run, "frames", "--times", tmp_path / "times.txt", "--out", tmp_path)
    run_verb(run, "frames", "--times", "2,0.35,1e6+0.5", "--unit", "seconds", "--out", tmp_path / "some.npy")
    run_verb(run, "sample", "--num_frames", 41, "--fps", 20, "--format", "npy", "--out", tmp_path / "whole.npy")
    pictures, some, whole = (
        frames_in(tmp_path / "frames_of_video_00000"),
        array(tmp_path / "some.npy"),
        array(tmp_path / "whole.npy"),
    )
    assert np.abs(pictures - whole[[40, 7]]).max() <= 1 and np.abs(some[:2] - whole[[40, 7]]).max() <= 1
    assert read_settings(tmp_path / "frames_of_video_00000")["times"] == [20, 3.5]
    assert read_settings(tmp_path / "some.npy")["times"] == [2, 0.35, 1000000.5]


def test_xt_shows_a_row_or_column_over_time(run: Path, tmp_path: Path) -> None:
    how = ("--num_frames", 9, "--num_videos", 2)
    run_verb(run, "xt", *how, "--row", 3, "--out", tmp_path / "rows.png")
    run_verb(run, "xt", *how, "--column", 5, "--out", tmp_path)
    run_verb(run, "sample", *how, "--format", "npy", "--out", tmp_path)
    rows = np.asarray(Image.open(tmp_path / "rows.png")).astype(int)
    column = np.asarray(Image.open(tmp_path / "xt_of_video_00001.png")).astype(int)
    video = array(tmp_path / "video_00001.npy")
    assert rows.shape == (9, 34, 3) and np.abs(rows[:, 18:] - video[:, 3]).max() <= 1
    assert np.abs(column - video[:, :, 5].transpose(1, 0, 2)).max() <= 1
    assert read_settings(tmp_path / "rows.png")["row"] == 3


def test_labels_go_to_videos_in_turn_whether_they_share_a_file_or_not(tmp_path: Path) -> None:
    run, how = make_run(tmp_path / "run", c_dim=4), ("--num_frames", 2, "--format", "npy")
    run_verb(run, "sample", "--num_videos", 3, "--label", "1,3", *how, "--out", tmp_path)
    run_verb(run, "sample", "--num_videos", 3, "--label", "1,3", "--grid", "1x3", *how, "--out", tmp_path)
    run_verb(run, "sample", "--videos", 1, "--label", 3, *how, "--out", tmp_path / "alone")
    run_verb(run, "mix", "--videos", 0, "--styles", "1-2", "--label", "1,3,1", *how, "--out", tmp_path)
    videos = [array(tmp_path / f"video_0000{i}.npy") for i in range(3)]
    together, mixed = array(tmp_path / "grid.npy"), array(tmp_path / "mix.npy")
    assert np.abs(videos[1] - array(tmp_path / "alone" / "video_00001.npy")).max() <= 1
    for i, expected in enumerate(videos):
        assert np.abs(together[:, :, 18 * i : 18 * i + 16] - expected).max() <= 1
    assert np.abs(mixed[:, 18:, :16] - videos[0]).max() <= 1 and np.abs(mixed[:, :16, 36:] - videos[2]).max() <= 1
    assert read_settings(tmp_path / "video_00001.npy")["label"] == [3]
