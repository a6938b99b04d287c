from __future__ import annotations

from pathlib import Path

import pytest

from errors import InputError
from fields.upscaling.places import find_places, find_sources, folder_for, is_video


def files(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return [folder / name for name in names]


def test_a_folder_means_its_pictures_and_videos_in_natural_order(tmp_path: Path) -> None:
    files(tmp_path, "a10.PNG", "a2.jpg", "b.mp4", "notes.txt", ".hidden.png", "a2.jpg.json")
    (tmp_path / "more.png").mkdir()
    assert [path.name for path in find_sources(tmp_path)] == ["a2.jpg", "a10.PNG", "b.mp4"]
    assert find_sources(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]  # what is in it shows when it is opened
    assert is_video(Path("b.MP4")) and not is_video(Path("a.png"))


def test_results_keep_names_where_they_can_be_written(tmp_path: Path) -> None:
    sources = files(tmp_path / "in", "a.jpg", "b.gif", "c.avi", "d.mkv", "e")
    places = find_places(sources, tmp_path / "out", one_file=False)
    assert [path.name for path in places] == ["a.jpg", "b.png", "c.mp4", "d.mkv", "e.png"]
    assert all(path.parent == tmp_path / "out" for path in places)


def test_out_may_be_a_file_for_one(tmp_path: Path) -> None:
    (source,) = files(tmp_path / "in", "a.jpg")
    assert find_places([source], tmp_path / "b.webp", one_file=True) == [tmp_path / "b.webp"]
    (tmp_path / "folder.png").mkdir()
    assert find_places([source], tmp_path / "folder.png", one_file=True) == [tmp_path / "folder.png" / "a.jpg"]


def test_a_source_is_never_written_over_by_whatever_way(tmp_path: Path) -> None:
    (source,) = files(tmp_path / "in", "a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    for out in (tmp_path / "in", source, tmp_path / "link", tmp_path / "in" / ".." / "in"):
        with pytest.raises(InputError, match="is what shall be upscaled"):
            find_places([source], out, one_file=True)


def test_folders_that_stay_empty_go_again(tmp_path: Path) -> None:
    def failing(path: Path, *, leaves_something: bool) -> None:
        with folder_for(path):
            assert path.parent.is_dir()
            if leaves_something:
                path.with_name("other").touch()
            raise KeyboardInterrupt

    (tmp_path / "there").mkdir()
    with pytest.raises(KeyboardInterrupt):
        failing(tmp_path / "there" / "a" / "b" / "c.png", leaves_something=False)
    assert list(tmp_path.iterdir()) == [tmp_path / "there"] and not list((tmp_path / "there").iterdir())
    with pytest.raises(KeyboardInterrupt):
        failing(tmp_path / "x" / "y" / "c.png", leaves_something=True)
    assert (tmp_path / "x" / "y" / "other").is_file()
