"""The comparison of tasks: its guesses in closed form; a tiny run of all of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import field_tasks


def test_guesses_are_what_they_are_named() -> None:
    frames = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    hidden = np.zeros((2, 3, 4), dtype=bool)
    hidden[0, 0, 0] = hidden[1, 2, 2] = hidden[1, 0, 0] = True
    near = field_tasks.nearest(frames, hidden)
    assert near[0, 0, 0].tolist() == frames[0, 0, 1].tolist() and near[1, 2, 2].tolist() == frames[1, 1, 2].tolist()
    mean = field_tasks.mean_over_time(frames, hidden)
    assert mean[1, 2, 2].tolist() == frames[0, 2, 2].tolist()
    assert mean[0, 0, 0].tolist() == near[0, 0, 0].tolist()  # never visible
    assert np.array_equal(mean[~hidden], frames[~hidden]) and np.array_equal(near[~hidden], frames[~hidden])


def test_decibels_are_of_the_places_asked_for() -> None:
    truth = np.zeros((2, 2, 2, 3), dtype=np.uint8)
    result = truth.copy()
    result[:, 0] = 51
    result[:, 1] = 255
    places = np.zeros((2, 2, 2), dtype=bool)
    places[:, 0] = True
    assert field_tasks.psnr(result, truth, places) == pytest.approx((-20 * np.log10(0.2), 0))
    assert field_tasks.psnr(result, truth)[0] == pytest.approx(-10 * np.log10(0.52))


def test_masks_hide_what_their_names_say() -> None:
    assert field_tasks.hidden_by("block").sum() == 16 * 64
    for share in (30, 50):
        assert field_tasks.hidden_by(f"random_{share}").mean() == pytest.approx(share / 100, abs=0.01)


@pytest.mark.parametrize("args", [["--tasks", "sharpen"], ["--updates", "0"]])
def test_wrong_arguments_are_refused(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        field_tasks.main(args)
    assert end.value.code == 2 and "give some of" in capsys.readouterr().err


@pytest.mark.slow
def test_a_tiny_run_leaves_table_figures_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    field_tasks.main(["--updates", "2", "--out", str(tmp_path)])
    figures = json.loads((tmp_path / "field_tasks.json").read_text())
    assert [one["task"] for one in figures["tasks"]] == list(field_tasks.TASKS)
    assert all(np.isfinite(one["field"]) and len(one["guesses"]) == 2 for one in figures["tasks"])
    assert (tmp_path / "field_tasks.txt").read_text().strip() in capsys.readouterr().err
    assert Image.open(tmp_path / "field_tasks.png").size == (4 * 192, 5 * 192)


@pytest.mark.slow
def test_nvp_beats_simple_guesses_of_hidden_pixels_and_frames() -> None:
    """The gates with which the table is shown: with margin for other machines."""
    for one in field_tasks.benchmark(("random_50", "odd_frames"), 300):
        assert one.field > max(one.guesses.values()) + (5 if one.task == "random_50" else 0)
