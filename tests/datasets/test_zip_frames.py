from __future__ import annotations

import shutil
import struct
import zipfile
from pathlib import Path

import pytest

from datasets.zip_frames import ZipFrames, read_small_member
from errors import InputError


def is_frame(name: str) -> bool:
    return name.endswith(".png")


def make(path: Path, files: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


FILES = {f"videos/a/{i}.png": b"a%d" % i * 50 for i in range(12)} | {
    "videos/a b/x.png": b"x",
    "videos/a-b/1.png": b"1",
    "videos/a/b/0.png": b"deeper",
    "top.png": b"top",
    "dataset.json": b"{}",
    "__MACOSX/videos/a/0.png": b"",
}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_frames_are_grouped_by_folder_in_natural_order(method: int, tmp_path: Path) -> None:
    """One folder's name begins another's, with a character that sorts before "/": the original loses count here."""
    frames = ZipFrames(make(tmp_path / "a.zip", FILES, method=method), is_frame)
    assert sorted(frames.folders) == [".", "videos/a", "videos/a b", "videos/a-b", "videos/a/b"]
    assert frames.num_frames("videos/a") == 12
    assert [frames.read("videos/a", i, 1000) for i in range(12)] == [b"a%d" % i * 50 for i in range(12)]
    assert frames.name("videos/a", 10) == "videos/a/10.png"
    assert (frames.read(".", 0, 9), frames.name(".", 0)) == (b"top", "top.png")
    assert frames.other_files == ["dataset.json"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_are_read_and_opened_by_their_names(method: int, tmp_path: Path) -> None:
    frames = ZipFrames(make(tmp_path / "a.zip", FILES, method=method), is_frame)
    names = [name for folder in frames.folders for name in frames.files(folder)]
    assert sorted(names) == sorted(name for name in FILES if is_frame(name) and not name.startswith("__MACOSX"))
    opened = [frames.open_file(name, 1000) for name in names]  # all at once: they share one handle
    for name, file in zip(names, opened, strict=True):
        content = FILES[name]
        assert frames.read_file(name, 1000) == content
        assert file.read() == content
        assert file.seek(-2, 2) == max(0, len(content) - 2) and file.read(9) == content[-2:]
        assert (file.seek(1), file.read(1), file.tell()) == (1, content[1:2], min(2, max(1, len(content))))
    with pytest.raises(OSError, match="larger than 10 bytes"):
        frames.read_file("videos/a/3.png", 10)


def test_entries_for_folders_make_no_difference(tmp_path: Path) -> None:
    folder = tmp_path / "root"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    shutil.make_archive(str(tmp_path / "with"), "zip", folder)
    assert any(name.endswith("/") for name in zipfile.ZipFile(tmp_path / "with.zip").namelist())
    with_entries = ZipFrames(tmp_path / "with.zip", is_frame)
    without = ZipFrames(make(tmp_path / "without.zip", FILES), is_frame)
    assert sorted(with_entries.folders) == sorted(without.folders)
    assert with_entries.read("videos/a", 11, 1000) == without.read("videos/a", 11, 1000)


def test_the_64_bit_form_of_entries_is_read_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for i in range(3):
            with archive.open(f"a/{i}.png", "w", force_zip64=True) as member:
                member.write(b"%d" % i * 10)
    frames = ZipFrames(tmp_path / "a.zip", is_frame)
    assert [frames.read("a", i, 10) for i in range(3)] == [b"0" * 10, b"1" * 10, b"2" * 10]


@pytest.mark.parametrize(
    "method, message", [(zipfile.ZIP_BZIP2, "other than deflate"), (zipfile.ZIP_DEFLATED, "larger than 10 bytes")]
)
def test_unusual_or_oversized_members_are_not_unpacked(method: int, message: str, tmp_path: Path) -> None:
    frames = ZipFrames(make(tmp_path / "a.zip", {"a/0.png": bytes(10**6)}, method=method), is_frame)
    with pytest.raises(OSError, match=message):
        frames.read("a", 0, 10 if "larger" in message else 10**7)


def test_a_member_that_claims_to_be_small_cannot_grow(tmp_path: Path) -> None:
    """A bomb: the directory says 5 bytes, the data unpack to a million."""
    path = make(tmp_path / "a.zip", {"a/0.png": bytes(10**6)})
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\1\2")
    struct.pack_into("<I", content, directory + 24, 5)
    path.write_bytes(content)
    with pytest.raises(OSError, match="damaged"):
        ZipFrames(path, is_frame).read("a", 0, 10_000)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage_is_noticed(method: int, tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", {"a/0.png": b"something" * 20, "a/1.png": b"other" * 9}, method=method)
    content = bytearray(path.read_bytes())
    content[45] ^= 255
    path.write_bytes(content)
    frames = ZipFrames(path, is_frame)
    with pytest.raises(OSError, match="damaged"):
        frames.read("a", 0, 1000)
    assert frames.read("a", 1, 1000) == b"other" * 9


def test_what_is_no_zip_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no zip at all")
    with pytest.raises(InputError, match=r"a\.zip: not a zip"):
        ZipFrames(tmp_path / "a.zip", is_frame)
    with pytest.raises(InputError, match=r"b\.zip: no such file"):
        ZipFrames(tmp_path / "b.zip", is_frame)
    with pytest.raises(InputError, match="holds no frames in 'x'"):
        ZipFrames(make(tmp_path / "c.zip", FILES), is_frame).num_frames("x")


def test_small_files_of_a_zip_are_read_within_bounds(tmp_path: Path) -> None:
    path = make(tmp_path / "a.zip", {"dataset.json": b"{}", "big.json": bytes(10**6)})
    assert read_small_member(path, "dataset.json", 10) == b"{}"
    assert read_small_member(path, "missing.json", 10) is None
    with pytest.raises(InputError, match=r"big\.json is larger than 1000 bytes"):
        read_small_member(path, "big.json", 1000)
