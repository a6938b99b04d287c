from __future__ import annotations

import io
import json
import logging
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datasets import index as index_module
from datasets.index import VideoIndex, scan
from datasets.scan_cache import default_cache_dir
from datasets.sources import VideoFile
from errors import InputError

Encode = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "videos"


def write_frames(folder: Path, numbers: range, size: tuple[int, int] = (8, 12)) -> None:
    folder.mkdir(parents=True)
    for i in numbers:
        Image.new("RGB", size[::-1], (i, i, i)).save(folder / f"{i}.png")


def mixed(root: Path, encode: Encode) -> Path:
    encode(root / "b10.mp4", 12)
    encode(root / "b9.mp4", 9)
    encode(root / "deep" / "er" / "c.mkv", 7, size=(48, 96))
    write_frames(root / "deep" / "frames", range(11))
    write_frames(root / "a", range(3))
    (root / "deep").mkdir(exist_ok=True)
    np.save(root / "deep" / "stored.npy", np.zeros((6, 3, 4, 5), np.uint8))
    (root / "notes.txt").write_text("no video")
    (root / ".hidden.mp4").write_bytes(b"x")
    return root


def scan_quietly(root: Path, **options: Any) -> VideoIndex:
    return scan(root, progress=False, **options)


def test_videos_of_all_kinds_are_found_at_any_depth_in_natural_order(root: Path, encode: Encode) -> None:
    index = scan_quietly(mixed(root, encode))
    assert [(video.name, video.kind, video.num_frames, video.height, video.width) for video in index.videos] == [
        ("a", "folder", 3, 8, 12),
        ("b9.mp4", "video", 9, 64, 128),
        ("b10.mp4", "video", 12, 64, 128),
        ("deep/er/c.mkv", "video", 7, 48, 96),
        ("deep/frames", "folder", 11, 8, 12),
        ("deep/stored", "store", 6, 4, 5),
    ]
    assert {video.fps for video in index.videos} == {25.0}
    assert index.skipped == []
    assert index.labels().shape == (6, 0)


def test_every_entry_opens_as_the_video_it_describes(
    root: Path, encode: Encode, numbers_in: Callable[..., list[int]]
) -> None:
    index = scan_quietly(mixed(root, encode))
    for i, video in enumerate(index.videos):
        source = pickle.loads(pickle.dumps(index.open(i)))  # noqa: S301
        assert (len(source), source.size, source.fps) == (video.num_frames, (video.height, video.width), video.fps)
        assert source.read([0, len(source) - 1]).shape == (2, 3, video.height, video.width)
    assert numbers_in(index.open(2).read([11, 3])) == [11, 3]
    assert index.open(4).read([10])[0, 0, 0, 0] == 10


@pytest.mark.parametrize("entries", [True, False])
def test_a_zip_is_scanned_without_unpacking(entries: bool, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, length in [("x/clip10", 4), ("x/clip9", 5), ("top", 2)]:
            if entries:
                archive.writestr(f"{name}/", b"")
            for i in range(length):
                data = io.BytesIO()
                Image.new("L", (6, 4), i).save(data, "PNG")
                archive.writestr(f"{name}/{i}.png", data.getvalue())
        archive.writestr("x/film.mp4", b"")
        archive.writestr("../out/0.png", b"")
        archive.writestr("manifest.json", json.dumps({"videos": {"top": {"fps": 12.5}, "x/clip9": {"fps": "?"}}}))
    index = scan_quietly(tmp_path / "a.zip", fps=30)
    assert [(video.name, video.num_frames, video.fps) for video in index.videos] == [
        ("top", 2, 12.5),
        ("x/clip9", 5, 30),
        ("x/clip10", 4, 30),
    ]
    assert {video.name: video.reason.split(":")[0] for video in index.skipped} == {
        "x/film.mp4": "video file in a zip",
        "../out": "unsafe name",
    }
    assert (index.open(2).read([3]) == 3).all()


def test_one_video_file_can_be_the_root(root: Path, encode: Encode) -> None:
    encode(root / "a.mp4", 5)
    encode(root / "other.mp4", 5)
    index = scan_quietly(root / "a.mp4")
    assert [video.name for video in index.videos] == ["a.mp4"]
    assert len(index.open(0)) == 5


def test_what_cannot_be_used_is_listed_with_its_reason(
    root: Path, encode: Encode, caplog: pytest.LogCaptureFixture
) -> None:
    encode(root / "good.mp4", 10)
    encode(root / "short.mp4", 4)
    whole = encode(root / "cut.avi", 40, codec="mjpeg", pixels="yuvj420p").read_bytes()
    (root / "cut.avi").write_bytes(whole[: len(whole) // 2])
    (root / "empty.mp4").write_bytes(b"")
    (root / "text.mov").write_text("no video")
    (root / "inner.zip").write_bytes(b"")
    (root / "cover.png").write_bytes(b"")
    write_frames(root / "broken", range(5))
    for file in (root / "broken").iterdir():
        file.write_bytes(b"no image")
    index = scan_quietly(root, min_frames=5)
    assert [video.name for video in index.videos] == ["good.mp4"]
    reasons = {
        "short.mp4": "too short: 4 of 5 frames",
        "cut.avi": "truncated: ",
        "empty.mp4": "empty: the file has 0 bytes",
        "text.mov": "cannot be opened: ",
        "inner.zip": "zip: ",
        ".": "images: 1 beside video files",
        "broken": "unreadable: ",
    }
    assert {video.name for video in index.skipped} == set(reasons)
    for video in index.skipped:
        assert video.reason.startswith(reasons[video.name])
        assert f"skipped {video.name}: {video.reason}" in caplog.text


def test_the_index_is_saved_as_json(root: Path, encode: Encode, tmp_path: Path) -> None:
    encode(root / "a" / "good.mp4", 10)
    (root / "bad.mp4").write_bytes(b"")
    scan_quietly(root, labels="folders").save(tmp_path / "run" / "index.json")
    saved = json.loads((tmp_path / "run" / "index.json").read_text())
    assert saved["root"] == str(root)
    assert saved["videos"][0] == {
        "name": "a/good.mp4",
        "kind": "video",
        "num_frames": 10,
        "fps": 25.0,
        "height": 64,
        "width": 128,
        "label": 0,
        "reader": VideoFile(root / "a" / "good.mp4").facts.reader,
    }
    assert saved["skipped"] == [{"name": "bad.mp4", "reason": "empty: the file has 0 bytes"}]
    assert saved["class_names"] == ["a"]


def test_without_any_usable_video_one_error_says_how_many_were_skipped_and_why(root: Path, encode: Encode) -> None:
    encode(root / "a.mp4", 4)
    encode(root / "b.mp4", 5)
    (root / "c.mp4").write_bytes(b"")
    with pytest.raises(InputError, match=r"3 skipped \(2 too short, 1 empty\), such as a\.mp4: too short: 4 of 9"):
        scan_quietly(root, min_frames=9)


def test_a_missing_or_useless_root_is_one_clear_error(root: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        scan_quietly(root)
    root.mkdir()
    with pytest.raises(InputError, match="no videos; put video files"):
        scan_quietly(root)
    (root / "notes.txt").write_text("")
    with pytest.raises(InputError, match="neither a folder, nor a zip"):
        scan_quietly(root / "notes.txt")


def test_class_numbers_become_one_hot_rows(root: Path, encode: Encode) -> None:
    encode(root / "cat" / "0.mp4", 5)
    encode(root / "dog" / "0.mp4", 2)
    encode(root / "eel" / "0.mp4", 5)
    index = scan_quietly(root, labels="folders", min_frames=3)
    assert index.class_names == ["cat", "dog", "eel"]
    assert index.labels().tolist() == [[1, 0, 0], [0, 0, 1]]  # the short dog still is a class
    (root / "dataset.json").write_text(json.dumps({"labels": [["cat/0.mp4", 3], ["eel/0.mp4", 0]]}))
    assert scan_quietly(root, labels="json", min_frames=3).labels().tolist() == [[0, 0, 0, 1], [1, 0, 0, 0]]
    with pytest.raises(InputError, match=r"1 videos have no label, one of them 'dog/0\.mp4'"):
        scan_quietly(root, labels="json")


def test_vectors_are_used_as_they_are(root: Path) -> None:
    write_frames(root / "a", range(2))
    write_frames(root / "b", range(2))
    (root / "dataset.json").write_text(json.dumps({"labels": [["a/0.png", [0.5, 2]], ["b/1.png", [1, -1]]]}))
    labels = scan_quietly(root, labels="json").labels()
    assert labels.dtype == np.float32
    assert labels.tolist() == [[0.5, 2], [1, -1]]


def probed(root: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[str]:
    """Names of the videos that a scan opens."""
    names, look_at = [], index_module._look_at
    with monkeypatch.context() as patch:
        patch.setattr(index_module, "_look_at", lambda root, item: names.append(item.name) or look_at(root, item))
        scan_quietly(root, **options)
    return sorted(names)


def test_a_second_scan_opens_only_what_changed(
    root: Path, encode: Encode, monkeypatch: pytest.MonkeyPatch, cache_home: Path
) -> None:
    mixed(root, encode)
    before = sorted(path for path in root.rglob("*"))
    first = scan_quietly(root)
    assert sorted(path for path in root.rglob("*")) == before  # nothing beside the user's files
    assert [path.parent for path in cache_home.rglob("*.json")] == [cache_home / "stylegan_v"]
    assert probed(root, monkeypatch) == []
    assert scan_quietly(root) == first
    assert probed(root, monkeypatch, min_frames=8) == []

    stat = (root / "b9.mp4").stat()
    os.utime(root / "b9.mp4", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    Image.new("RGB", (12, 8)).save(root / "a" / "9.png")
    assert probed(root, monkeypatch) == ["a", "b9.mp4"]
    assert len(probed(root, monkeypatch, cache_dir=root.parent / "elsewhere")) == 6


def test_a_failure_is_looked_at_again(root: Path, encode: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(root / "a.mp4", 5)
    (root / "b.mp4").write_bytes(b"")
    scan_quietly(root)
    assert probed(root, monkeypatch) == ["b.mp4"]


@pytest.mark.parametrize("content", ["", "[]", '{"made_with": null}', '{"records": 3}', "[" * 10**5])
def test_a_broken_cache_is_left_aside(content: str, root: Path, encode: Encode, cache_home: Path) -> None:
    encode(root / "a.mp4", 5)
    first = scan_quietly(root)
    (cache,) = cache_home.rglob("*.json")
    records = json.loads(cache.read_text())
    for text in [content, json.dumps({**records, "records": {"video:a.mp4": [1, "x"]}})]:
        cache.write_text(text)
        assert scan_quietly(root) == first


def test_a_cache_that_cannot_be_written_costs_only_a_warning(
    root: Path, encode: Encode, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encode(root / "a.mp4", 5)
    (tmp_path / "file").write_text("")
    assert len(scan_quietly(root, cache_dir=tmp_path / "file").videos) == 1
    assert "cache cannot be written" in caplog.text


def test_an_interrupted_scan_keeps_what_it_found(root: Path, encode: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(4):
        encode(root / f"{i}.mp4", 5)

    def interrupted(root: Path, item: Any) -> Any:
        if item.name == "2.mp4":
            raise KeyboardInterrupt
        return look_at(root, item)

    look_at = index_module._look_at
    with monkeypatch.context() as patch:
        patch.setattr(index_module, "_look_at", interrupted)
        patch.setattr(
            index_module, "discover", lambda root, images, discover=index_module.discover: sort(discover(root))
        )
        with pytest.raises(KeyboardInterrupt):
            scan_quietly(root, num_workers=1)
    assert probed(root, monkeypatch) == ["2.mp4", "3.mp4"]


def sort(found: Any) -> Any:
    found.candidates.sort(key=lambda item: item.name)
    return found


def test_the_cache_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "stylegan_v"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache_dir() == tmp_path / "home" / ".cache" / "stylegan_v"


def test_slow_files_are_announced(root: Path, encode: Encode, caplog: pytest.LogCaptureFixture) -> None:
    encode(root / "a.ts", 5)
    scan_quietly(root)
    assert "1 videos, one of them a.ts, are exact only when read from their start" in caplog.text
    caplog.clear()
    scan_quietly(root, random_access=False)
    assert "a.ts" not in caplog.text


def test_links_are_followed_but_not_in_circles(root: Path, encode: Encode) -> None:
    encode(root.parent / "elsewhere" / "a.mp4", 5)
    root.mkdir()
    (root / "link").symlink_to(root.parent / "elsewhere")
    (root / "circle").symlink_to(root)
    (root / "dangling.mp4").symlink_to(root / "missing")
    assert [video.name for video in scan_quietly(root).videos] == ["link/a.mp4"]


def test_a_folder_that_may_not_be_read_is_skipped(root: Path, encode: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(root / "a.mp4", 5)
    encode(root / "private" / "b.mp4", 5)
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "private":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    index = scan_quietly(root)
    assert [video.name for video in index.videos] == ["a.mp4"]
    assert [(video.name, video.reason) for video in index.skipped] == [("private", "unreadable: Permission denied")]


def test_progress_is_shown_when_asked_for(
    root: Path, encode: Encode, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    encode(root / "a.mp4", 5)
    with caplog.at_level(logging.INFO):
        scan(root)
    assert "scanning videos" in capsys.readouterr().err
    assert "1 videos, 0 skipped" in caplog.text


def written(path: Path, value: int, size: tuple[int, int] = (8, 12), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], (value, value, value)).save(path, **options)
    return path


def image_tree(root: Path) -> Path:
    for i in range(12):
        written(root / f"{i}.png", i)
    written(root / "deep" / "er" / "a.jpg", 50, (20, 30))
    written(root / "deep" / "b.webp", 60)
    (root / "notes.txt").write_text("no image")
    return root


def zipped(root: Path, path: Path, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(root.rglob("*")):
            archive.write(file, file.relative_to(root).as_posix())
    return path


@pytest.mark.parametrize("kind", ["folder", "stored", "packed"])
def test_every_image_is_an_item_in_natural_order(kind: str, root: Path, tmp_path: Path) -> None:
    image_tree(root)
    if kind != "folder":
        method = zipfile.ZIP_STORED if kind == "stored" else zipfile.ZIP_DEFLATED
        root = zipped(root, tmp_path / "a.zip", method)
    index = scan_quietly(root, images=True)
    flat = [(f"{i}.png", 1, 8, 12) for i in range(12)]
    deep = [("deep/b.webp", 1, 8, 12), ("deep/er/a.jpg", 1, 20, 30)]
    found = [(image.name, image.num_frames, image.height, image.width) for image in index.videos]
    assert found == [*flat, *deep]
    assert index.skipped == []
    for i, expected in ((10, 10), (12, 60), (13, 50)):
        source = pickle.loads(pickle.dumps(index.open(i)))  # noqa: S301
        assert (len(source), source.size) == (1, found[i][2:])
        assert source.read([0]).shape == (1, 3, *found[i][2:])
        assert abs(int(source.read([0])[0, 0, 0, 0]) - expected) <= 2


def test_images_that_cannot_be_used_are_listed_with_their_reasons(root: Path, encode: Encode) -> None:
    written(root / "good.png", 1)
    (root / "empty.png").write_bytes(b"")
    (root / "text.jpg").write_text("no image")
    for name in ("cut.png", "cut.jpg", "cut.bmp"):
        noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / name)
        (root / name).write_bytes((root / name).read_bytes()[:-60])
    encode(root / "film.mp4", 5)
    np.save(root / "store.npy", np.zeros((1, 3, 4, 4), np.uint8))
    (root / "inner.zip").write_bytes(b"")
    index = scan_quietly(root, images=True)
    assert [image.name for image in index.videos] == ["good.png"]
    reasons = {
        "cut.bmp": "damaged: image file is truncated",
        "cut.jpg": "damaged: image file is truncated",
        "cut.png": "damaged: ",
        "empty.png": "empty: the file has 0 bytes",
        "film.mp4": "no image: of videos, random frames can be taken",
        "inner.zip": "zip: read only when it is given as the root itself",
        "store.npy": "no image: ",
        "text.jpg": "not an image: ",
    }
    assert [image.name for image in index.skipped] == list(reasons)
    for image in index.skipped:
        assert image.reason.startswith(reasons[image.name])


def test_a_zip_of_images_lists_what_it_cannot_give(root: Path, tmp_path: Path) -> None:
    image_tree(root)
    with zipfile.ZipFile(zipped(root, tmp_path / "a.zip"), "a") as archive:
        archive.writestr("../out.png", (root / "0.png").read_bytes())
        archive.writestr("cut.jpg", (root / "deep" / "er" / "a.jpg").read_bytes()[:-30])
        archive.writestr("film.mp4", b"")
    index = scan_quietly(tmp_path / "a.zip", images=True)
    assert len(index.videos) == 14
    assert {image.name: image.reason.split(":")[0] for image in index.skipped} == {
        "..": "unsafe name",
        "cut.jpg": "damaged",
        "film.mp4": "no image",
    }


def test_labels_of_images_come_from_their_files_or_folders(root: Path, tmp_path: Path) -> None:
    for name in ("cat/0.png", "cat/1.png", "dog/0.png"):
        written(root / name, 0)
    labels = [["cat/0.png", 0], ["cat/1.png", 2], ["dog/0.png", 1]]
    (root / "dataset.json").write_text(json.dumps({"labels": labels}))
    for place in (root, zipped(root, tmp_path / "a.zip")):
        index = scan_quietly(place, images=True, labels="json")
        assert index.labels().argmax(axis=1).tolist() == [0, 2, 1]
        index = scan_quietly(place, images=True, labels="folders")
        assert index.class_names == ["cat", "dog"]
        assert index.labels().tolist() == [[1, 0], [1, 0], [0, 1]]
    written(root / "eel.png", 0)
    with pytest.raises(InputError, match=r"1 images have no label, one of them 'eel\.png'"):
        scan_quietly(root, images=True, labels="json")


def test_a_second_scan_of_images_opens_only_what_changed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_tree(root)
    first = scan_quietly(root, images=True)
    assert probed(root, monkeypatch, images=True) == []
    assert scan_quietly(root, images=True) == first
    written(root / "3.png", 77, (9, 9))
    assert probed(root, monkeypatch, images=True) == ["3.png"]
    assert scan_quietly(root).videos[0].num_frames == 12  # the same folder as videos
    assert probed(root, monkeypatch, images=True) == []


def test_only_the_ends_of_image_files_are_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(root / "a.png", 1)
    written(root / "b.jpg", 2)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    assert len(scan_quietly(root, images=True).videos) == 2


def test_one_unusable_file_is_named_in_one_line(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    root.mkdir()
    (root / "a.mp4").write_bytes(b"")
    with pytest.raises(InputError) as error:
        scan_quietly(root / "a.mp4")
    assert str(error.value).startswith(f"{root / 'a.mp4'}: empty: ") and "mend it" in str(error.value)
    assert not caplog.records


def test_without_any_usable_image_one_error_says_so(root: Path, tmp_path: Path) -> None:
    root.mkdir()
    with pytest.raises(InputError, match="no images; put image files, or a zip of them there"):
        scan_quietly(root, images=True)
    (root / "a.png").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"no usable image; 1 skipped \(1 empty\), such as a\.png: empty.*mend images$"
    ):
        scan_quietly(root, images=True)
    with pytest.raises(InputError, match="holds your images"):
        scan_quietly(root / "missing", images=True)
    with pytest.raises(InputError, match="neither a folder nor a zip"):
        scan_quietly(root / "a.png", images=True)
