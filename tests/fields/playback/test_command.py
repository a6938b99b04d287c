"""Rendering: frames against the field's own, however they are cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from errors import InputError
from fields.coords import at_index
from fields.playback import command
from fields.playback.command import choose_view, render
from fields.playback.saving import to_bytes
from fields.playback.source import open_fitted
from fields.upscaling import memory
from generate_options import PlaybackOptions
from tests.fields.playback.fitted import NODES, write_field


def rendered(folder: Path, out: Path, **options: object) -> np.ndarray:
    render(str(folder), str(out), PlaybackOptions(device="cpu", **options))
    return np.load(out)


@pytest.mark.parametrize("name", NODES)
def test_every_field_is_drawn_at_any_size_and_rate(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    field = write_field(tmp_path / name, name)
    monkeypatch.setattr(command, "_BAND", 40)  # some rows, or some frames, at a time
    found = rendered(tmp_path / name, tmp_path / "a.npy", size="7x17", slow=2.5, start=0.1, num_frames=4)
    t = at_index(torch.tensor([1.0, 1.4, 1.8, 2.2]), 5)
    how = {"blend_time": True} if name == "nvp" else {}
    expected = to_bytes(field.render(t, (17, 7), **how)).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(found, expected)
    assert ("resampled" in capsys.readouterr().out) == (name == "nerv")


def test_its_own_frames_are_drawn_as_they_were_fitted(tmp_path: Path) -> None:
    field = write_field(tmp_path / "nvp", "nvp")
    found = rendered(tmp_path / "nvp", tmp_path / "a.npy")
    expected = to_bytes(field.render(at_index(torch.arange(5), 5), (13, 11))).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(found, expected)
    part = rendered(tmp_path / "nvp", tmp_path / "b.npy", window="2,1,9,11", scale=1)
    assert np.array_equal(part, expected[:, 2:9, 1:11])


def test_memory_does_not_grow_with_the_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_field(tmp_path / "siren", "siren")
    monkeypatch.setattr(command, "_TOGETHER", 3)
    video = open_fitted(tmp_path / "siren", "cpu")
    options = PlaybackOptions(slow=20)
    timing = command.choose_timing(options, 5, 10.0, "run")
    done = []
    parts = command.draw_frames(video, timing, choose_view(video, options), done.append)
    assert timing.count == 100 and max(len(part) for part in parts) == 3
    assert sum(done) == 100 * 13 * 11


def test_a_result_is_kept_and_another_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_field(tmp_path / "siren", "siren")
    first = rendered(tmp_path / "siren", tmp_path / "a.npy", scale=2)
    assert "complete already" not in capsys.readouterr().out
    rendered(tmp_path / "siren", tmp_path / "a.npy", scale=2)
    assert "complete already" in capsys.readouterr().out
    with pytest.raises(InputError, match="another size"):
        rendered(tmp_path / "siren", tmp_path / "a.npy", scale=3)
    assert np.array_equal(np.load(tmp_path / "a.npy"), first)
    assert rendered(tmp_path / "siren", tmp_path / "a.npy", scale=3, overwrite=True).shape == (5, 39, 33, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 1e5}, "GB"),
        ({"size": "200000x200000", "window": "0,0,199999,200000"}, "GB"),
        ({"size": "0x4"}, "size"),
        ({"scale": 2, "size": "4x4"}, "size"),
        ({"window": "1,2,3"}, "window"),
        ({"window": "0,0,14,11"}, "window"),
        ({"device": "cuda:99"}, "device"),
    ],
)
def test_what_cannot_be_is_refused(options: dict, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_field(tmp_path / "siren", "siren")
    monkeypatch.setattr(memory, "free_memory", lambda device=None: 2**34)
    with pytest.raises(InputError, match=words):
        render(str(tmp_path / "siren"), str(tmp_path / "a.mp4"), PlaybackOptions(**{"device": "cpu"} | options))
    assert not list(tmp_path.glob("a*"))


def test_a_part_of_what_would_be_too_large_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_field(tmp_path / "siren", "siren")
    monkeypatch.setattr(memory, "free_memory", lambda device=None: 2**34)
    options = {"size": "200000x200000", "window": "99999,7,100003,12", "num_frames": 2}
    assert rendered(tmp_path / "siren", tmp_path / "a.npy", **options).shape == (2, 4, 5, 3)
