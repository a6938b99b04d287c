from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tqdm import tqdm

from datasets.settings import read_settings, settings_path
from datasets.sources import VideoFile
from errors import InputError
from generate_options import Format, Options
from stylegan_v.sampling import outputs
from stylegan_v.sampling.outputs import Destination, Piece, destination, is_complete, produce, report, video_saver


def where(out: Path, format: Format | None = None, **more: Any) -> Destination:
    return destination(Options(ckpt="", out=str(out), format=format), **more)


def piece(path: Path, settings: dict[str, Any] | None = None, made: list[Path] | None = None) -> Piece:
    def frames() -> Iterator[torch.Tensor]:
        if made is not None:
            made.append(path)
        for value in (10, 200):
            yield torch.full((2, 3, 16, 16), value, dtype=torch.uint8)

    return Piece(
        path, {"seed": 3, "made_with": {"torch": "x"}} if settings is None else settings, frames, video_saver(25), 4
    )


def test_a_folder_of_files(tmp_path: Path) -> None:
    assert where(tmp_path / "out").file("a") == tmp_path / "out" / "a.mp4"
    assert where(tmp_path / "out", "webp").file("a") == tmp_path / "out" / "a.webp"
    assert where(tmp_path / "out", "png").file("a") == tmp_path / "out" / "a"
    (tmp_path / "odd.mp4").mkdir()
    assert where(tmp_path / "odd.mp4").file("a") == tmp_path / "odd.mp4" / "a.mp4"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm", "gif", "webp", "npy"])
def test_a_file_by_name(tmp_path: Path, suffix: str) -> None:
    found = where(tmp_path / f"x.{suffix}")
    assert found.single == found.file("a") == tmp_path / f"x.{suffix}"


def test_pictures_by_name(tmp_path: Path) -> None:
    assert where(tmp_path / "x.png", suffixes=(".png",), default="png").single == tmp_path / "x.png"
    assert where(tmp_path, suffixes=(".png",), default="png").file("a") == tmp_path / "a.png"
    assert where(tmp_path, suffixes=(".npy",), default="png").file("a") == tmp_path / "a"
    assert where(tmp_path, "npy", suffixes=(".npy",), default="png").file("a") == tmp_path / "a.npy"


@pytest.mark.parametrize(
    "out, format, more, says",
    [
        ("x.avi", None, {}, "out: .* ends in .mp4"),
        ("x.png", None, {}, "out: .* give a folder"),
        ("x.mp4", None, {"suffixes": (".npy",), "default": "png"}, "ends in .npy"),
        ("x.gif", "mp4", {}, "format: .* will be no mp4 file"),
        ("out", "mp4", {"suffixes": (".npy",), "default": "png"}, "format: mp4 .* give one of npy, png"),
        ("file", None, {}, "out: .* give a folder"),
        ("file/x.mp4", None, {}, "out: .* give a folder"),
    ],
)
def test_places_that_do_not_suit(tmp_path: Path, out: str, format: Format | None, more: Any, says: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=says):
        where(tmp_path / out, format, **more)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "a.webp", "a.npy", "a"])
def test_what_is_complete_is_not_made_again(tmp_path: Path, name: str) -> None:
    made: list[Path] = []
    one, other = (piece(tmp_path / "deep" / f"{i}{name}", made=made) for i in range(2))
    assert produce([one], overwrite=False) == 0 and is_complete(one) and not is_complete(other)
    assert read_settings(one.path) == one.settings
    assert produce([one, other], overwrite=False) == 1
    assert made == [one.path, other.path]
    assert produce([one, other], overwrite=True) == 2 and len(made) == 2


def test_what_does_not_decide_frames_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    produce([piece(path)], overwrite=False)
    assert is_complete(piece(path, {"made_with": {"torch": "y"}, "seed": 3.0}))
    assert not is_complete(piece(path, {"seed": 4})) and not is_complete(piece(path, {"seed": 3, "fps": 2}))


@pytest.mark.parametrize("name", ["a.mp4", "a.npy", "a"])
def test_what_is_something_else_is_replaced_only_on_demand(tmp_path: Path, name: str) -> None:
    path, made = tmp_path / name, []
    produce([piece(path)], overwrite=False)
    changed = piece(path, {"seed": 4}, made)
    with pytest.raises(InputError, match=f"out: .*{name}: is there already, made with another seed: --overwrite"):
        produce([piece(tmp_path / "b.mp4", made=made), changed], overwrite=False)
    assert made == [] and not (tmp_path / "b.mp4").exists() and is_complete(piece(path))
    produce([changed], overwrite=True)
    assert is_complete(changed) and made == [path]


def test_files_that_do_not_say_how_they_were_made_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match="does not say how it was made: --overwrite"):
        produce([piece(path)], overwrite=False)
    assert path.read_bytes() == b"mine"
    produce([piece(path)], overwrite=True)
    assert len(VideoFile(path)) == 4


def test_folders_of_something_else_stay_in_any_case(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir()
    produce([piece(path)], overwrite=False)  # an empty one is no obstacle
    assert len(list(path.glob("*.png"))) == 4
    other = tmp_path / "b"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="is a folder of something else"):
        produce([piece(other)], overwrite=True)
    assert (other / "thesis.txt").read_text() == "mine"


def test_settings_beside_a_file_that_is_gone_do_not_make_it_complete(tmp_path: Path) -> None:
    one = piece(tmp_path / "a.npy")
    produce([one], overwrite=False)
    one.path.unlink()
    assert not is_complete(one)
    assert json.loads(settings_path(one.path).read_text()) == one.settings


def test_a_failure_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    produce([piece(path)], overwrite=False)

    def failing() -> Iterator[torch.Tensor]:
        yield torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        produce([Piece(path, {"seed": 4}, failing, video_saver(25), 4)], overwrite=True)
    assert is_complete(piece(path)) and len(VideoFile(path)) == 4
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.mp4", "a.mp4.json"}


def test_progress_counts_frames_of_all_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = []

    class Bar(tqdm):
        def __init__(self, **how: Any) -> None:
            super().__init__(**{**how, "disable": False, "file": io.StringIO()})
            bars.append(self)

    monkeypatch.setattr(outputs, "tqdm", Bar)
    one, other = piece(tmp_path / "a.gif"), piece(tmp_path / "b.gif")
    produce([other], overwrite=False)
    produce([other, Piece(one.path, one.settings, one.frames, one.save, 4, num_videos=6)], overwrite=False)
    assert [(bar.n, bar.total) for bar in bars] == [(4, 4), (24, 24)]


def test_the_report_says_what_was_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = piece(tmp_path / "a.mp4"), piece(tmp_path / "b.mp4")
    for pieces, skipped in (([one], 0), ([one], 1), ([one, other], 1)):
        report(pieces, skipped, "4 frames")
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{tmp_path}/a.mp4: 4 frames",
        f"{tmp_path}/a.mp4: 4 frames (complete already)",
        f"2 files in {tmp_path}: 4 frames (1 of them complete already)",
    ]
