from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from datasets.files import atomic_path, read_json, remove, remove_stale, sync, write_json
from errors import InputError


def test_a_file_appears_whole_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("all of it")
        assert temporary.parent == path.parent
        assert not path.exists()
    assert path.read_text() == "all of it"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_what_was_there_before_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_folders_too_are_made_whole_or_not_at_all(tmp_path: Path) -> None:
    for fails in (True, False):
        try:
            with atomic_path(tmp_path / "folder") as temporary:
                temporary.mkdir()
                (temporary / "a").write_text("1")
                if fails:
                    raise OSError("full")
        except OSError:
            assert list(tmp_path.iterdir()) == []
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["a"]


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    remove(tmp_path / "missing")
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    remove(tmp_path / "link")
    assert (tmp_path / "target").is_dir()
    remove(tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a[1].mp4"
    left = []
    for other in (path, path.with_name("a1.mp4")):
        writing = atomic_path(other)
        temporary = writing.__enter__()
        temporary.mkdir()
        (temporary / "half").write_text("")
        left.append((writing, temporary))
    path.write_text("")
    assert remove_stale(path) == [left[0][1]]
    assert remove_stale(path) == []
    assert sorted(tmp_path.iterdir()) == sorted([path, left[1][1]])


def test_the_disk_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda number: waited.append(os.readlink(f"/proc/self/fd/{number}")))
    for name in ("b", "a"):
        (tmp_path / name).write_text(name)
    sync(tmp_path / "b")
    sync(tmp_path)
    assert waited == [str(tmp_path / name) for name in ("b", "a", "b")]
    assert [(tmp_path / name).read_text() for name in ("a", "b")] == ["a", "b"]


def test_json_comes_back_as_it_was(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None, "ü"], "b": {}, os.fsdecode(b"name \xe9"): ""}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


@pytest.mark.parametrize("text", [b"{", b"", b"\xff\xfe\x00", b"[" * 200_000, b"nonsense"])
def test_what_is_no_json_is_one_clear_error(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(InputError, match=r"a\.json: not valid JSON"):
        read_json(tmp_path / "a.json")


def test_json_may_begin_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": "ü"}', encoding="utf-8-sig")
    assert read_json(tmp_path / "a.json") == {"a": "ü"}


def test_oversized_json_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps("a" * 100))
    assert len(read_json(tmp_path / "a.json", max_bytes=102)) == 100
    with pytest.raises(InputError, match="larger than 101 bytes"):
        read_json(tmp_path / "a.json", max_bytes=101)
