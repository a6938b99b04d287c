"""Fitted fields from wherever they lie."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from errors import InputError
from fields.codec.coding import Settings, encode
from fields.coords import centres
from fields.playback import source
from fields.playback.source import open_fitted
from fields.weights import read_field
from tests.fields import small_liif
from tests.fields.playback.fitted import NODES, SIZE, write_field


@pytest.mark.parametrize("name", NODES)
def test_a_folder_of_weights_draws_what_its_field_does(name: str, tmp_path: Path) -> None:
    field = write_field(tmp_path, name)
    video = open_fitted(tmp_path, "cpu")
    assert (video.name, video.size, video.fps) == (type(field).__name__, SIZE, 10.0)
    assert video.whole_frames == (name == "nerv")
    moments, size, window = centres(5)[1:4], (20, 9), (3, 2, 17, 8)
    assert torch.equal(video.frames(moments.tolist(), size, window), field.render(moments, size, window))


@pytest.mark.parametrize("name", ["nvp", "siren"])
def test_a_coded_file_is_one_too_and_decodes_what_is_needed(name: str, tmp_path: Path) -> None:
    field = write_field(tmp_path / "field", name)
    path = tmp_path / "a.field"
    path.write_bytes(encode(read_field(tmp_path / "field"), Settings(quantised=False, group=2)))
    video = open_fitted(path)
    assert (video.size, video.fps) == (SIZE, 10.0)
    t = centres(5)[[1]]
    assert torch.allclose(video.frames(t.tolist(), (13, 11), (0, 0, 13, 11)), field.render(t, (13, 11)), atol=1e-6)
    path.write_bytes(encode(read_field(tmp_path / "field"), Settings(group=2)))
    video = open_fitted(path)
    video.frames(t.tolist(), (13, 11), (0, 0, 13, 11))
    assert name == "siren" or video.field.decoded == {0}


def test_slices_are_blended_between_frames_alone(tmp_path: Path) -> None:
    field = write_field(tmp_path, "nvp")
    video = open_fitted(tmp_path, "cpu")
    t = torch.tensor([0.1])
    for between in (False, True):
        found = video.frames([0.1], (13, 11), (0, 0, 13, 11), between)
        assert torch.equal(found, field.render(t, (13, 11), blend_time=between))


def test_what_is_no_field_of_a_video_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no field of a video"):
        open_fitted(small_liif.stored(tmp_path / "liif"), "cpu")
    with pytest.raises(InputError, match="no such file"):
        open_fitted(tmp_path / "missing", "cpu")
    write_field(tmp_path / "nvp", "nvp")
    monkeypatch.setattr(source, "available_memory", lambda device: 1000)
    with pytest.raises(InputError, match="are free"):
        open_fitted(tmp_path / "nvp", "cpu")


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    write_field(tmp_path, "siren")
    video = open_fitted(tmp_path, "cpu")
    next(video.field.parameters()).fill_(torch.nan)
    with pytest.raises(InputError, match="damaged"):
        video.frames([0.0], (13, 11), (0, 0, 13, 11))
