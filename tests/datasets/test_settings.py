from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from PIL import Image

from datasets.files import write_json
from datasets.settings import is_complete, read_settings, settings_path, settings_text, written_with
from errors import InputError
from tests.datasets.written import NAMES, write

Clip = Callable[..., torch.Tensor]

SETTINGS = {
    "command": "sample",
    "ckpt": 'runs/Übung \udce9/<a & b>\n\t"c" 🎞',
    "seeds": [1, 2, 2**63],
    "fps": 29.97,
    "speed": -1e-300,
    "grid": None,
    "loop": False,
    "deep": {"a": [[], {}]},
}


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_inside_of_the_file_and_beside_it(name: str, coded_clip: Clip, tmp_path: Path) -> None:
    path = write(tmp_path / name, coded_clip(range(2)), metadata=SETTINGS)
    beside = settings_path(path)
    assert beside == (path / "settings.json" if name == "frames" else tmp_path / f"{name}.json")
    assert json.loads(beside.read_bytes().decode("utf-8", "surrogateescape")) == SETTINGS
    assert read_settings(path) == SETTINGS
    beside.unlink()
    if name == "a.npy":
        with pytest.raises(InputError, match=r"a\.npy: says nothing of its settings, and neither does .*a\.npy\.json"):
            read_settings(path)
    else:
        assert read_settings(str(path)) == SETTINGS


def test_other_programs_find_the_settings(coded_clip: Clip, tmp_path: Path) -> None:
    text = settings_text(tmp_path / "a", SETTINGS)
    for name in ("a.mp4", "a.mov", "a.mkv", "a.webm"):
        with av.open(str(write(tmp_path / name, coded_clip([1]), metadata=SETTINGS))) as file:
            assert {key.lower(): value for key, value in file.metadata.items()}["comment"] == text
    with Image.open(write(tmp_path / "a.gif", coded_clip([1]), metadata=SETTINGS)) as image:
        assert image.info["comment"].decode("ascii") == text
    with Image.open(write(tmp_path / "a.webp", coded_clip([1]), metadata=SETTINGS)) as image:
        assert image.getexif()[0x010E] == text
    with Image.open(write(tmp_path / "frames", coded_clip([1]), metadata=SETTINGS) / "000000.png") as image:
        assert image.info["Comment"] == text


@pytest.mark.parametrize("name", NAMES)
def test_settings_may_be_long(name: str, coded_clip: Clip, tmp_path: Path) -> None:
    limit = 2**16 - 1 if name == "a.mov" else 2**20
    settings = {"": "a" * (limit - len('{"": ""}'))}
    assert read_settings(write(tmp_path / name, coded_clip([1]), metadata=settings)) == settings
    settings[""] += "a"
    with pytest.raises(InputError, match=f"settings of {limit + 1} bytes do not fit, {limit} do"):
        write(tmp_path / "new" / name, coded_clip([1]), metadata=settings)
    assert [file.name[0] for file in tmp_path.iterdir() if file.name == "new"] == []


def test_settings_inside_are_believed_first(coded_clip: Clip, tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", coded_clip([1]), metadata={"seed": 1})
    settings_path(path).write_text('{"seed": 2}')
    assert read_settings(path) == {"seed": 1}
    shutil.copy(write(tmp_path / "plain.mp4", coded_clip([1])), path)
    assert read_settings(path) == {"seed": 2}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_complete_is_known(name: str, coded_clip: Clip, tmp_path: Path) -> None:
    settings = {"seeds": (1, 2), "fps": 25.0}
    assert not written_with(tmp_path / name, settings)
    path = write(tmp_path / name, coded_clip([1]), metadata=settings)
    assert written_with(path, settings)
    assert written_with(str(path), {"fps": 25, "seeds": [1, 2]})
    assert not written_with(path, {**settings, "seeds": [1, 3]})
    assert not written_with(path, {"fps": 25.0})


def test_what_others_wrote_is_not_complete(coded_clip: Clip, tmp_path: Path) -> None:
    assert not written_with(write(tmp_path / "a.mp4", coded_clip([1])), {})
    (tmp_path / "b.mp4").write_bytes(b"no video")
    assert not written_with(tmp_path / "b.mp4", {})
    (tmp_path / "empty").mkdir()
    assert not written_with(tmp_path / "empty", {})


def test_numbers_that_json_does_not_know_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        settings_text(tmp_path / "a.mp4", {"t": float("nan")})


@pytest.mark.parametrize(
    "comment", ["made with love", "{", "[1, 2]", "{'a': 1}", "null", '{"a":' * 100_000, '{"a": ' + "9" * 9999 + "}"]
)
def test_comments_that_are_something_else_do_not_count(comment: str, tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "a.gif", comment=comment.encode())
    with pytest.raises(InputError, match=r"a\.gif: says nothing of its settings"):
        read_settings(tmp_path / "a.gif")
    settings_path(tmp_path / "a.gif").write_text('{"seed": 1}')
    assert read_settings(tmp_path / "a.gif") == {"seed": 1}


@pytest.mark.parametrize(
    "text, message",
    [
        (b"{", "not valid JSON"),
        (b"[" * 10**5, "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b'{"a": "' + b"a" * 2**22 + b'"}', "larger than"),
        (b"[1]", "says nothing of its settings"),
    ],
)
def test_json_of_unknown_origin_is_one_clear_line(text: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"")
    (tmp_path / "a.npy.json").write_bytes(text)
    with pytest.raises(InputError, match=message) as refusal:
        read_settings(tmp_path / "a.npy")
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    for name in NAMES:
        with pytest.raises(InputError, match=f"{name}: no such file; give a video, or a folder"):
            read_settings(tmp_path / name)


def test_settings_are_plain_values(tmp_path: Path) -> None:
    values: dict[str, Any] = {"path": tmp_path}
    with pytest.raises(TypeError, match="not JSON serializable"):
        settings_text(tmp_path / "a.mp4", values)


def test_what_is_there_is_kept_unless_it_may_go(tmp_path: Path) -> None:
    settings = {"command": "upscale", "size": [4, 4]}
    path = tmp_path / "a.bmp"
    assert not is_complete(path, settings, overwrite=False)
    path.touch()
    with pytest.raises(InputError, match="and does not say how it was made: --overwrite replaces it"):
        is_complete(path, settings, overwrite=False)
    assert not is_complete(path, settings, overwrite=True)
    write_json(tmp_path / "a.bmp.json", settings)
    assert is_complete(path, settings, overwrite=False) and is_complete(path, settings, overwrite=True)
    with pytest.raises(InputError, match="made with another size"):
        is_complete(path, {**settings, "size": [8, 8]}, overwrite=False)


def test_folders_are_results_only_where_they_can_be(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    with pytest.raises(InputError, match="is a folder that is there already"):
        is_complete(tmp_path / "frames", SETTINGS, overwrite=True)
    assert not is_complete(tmp_path / "frames", SETTINGS, overwrite=False, folders=True)
    (tmp_path / "frames" / "note.txt").touch()
    with pytest.raises(InputError, match="is a folder that is there already"):
        is_complete(tmp_path / "frames", SETTINGS, overwrite=True, folders=True)
