from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datasets import manifest as module
from datasets.collection import IndexedVideos, RenderedVideos
from datasets.index import VideoEntry, VideoIndex, scan
from datasets.manifest import digest, halves
from datasets.synthetic import SpriteVideo
from errors import InputError

Encode = Callable[..., Path]
pytestmark = pytest.mark.usefixtures("own_cache")


def frame(path: Path, value: int, size: tuple[int, int] = (8, 12)) -> None:
    """Writes an image; those of one size and different values have the same number of bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], (value, value, value)).save(path.with_suffix(".bmp"))


def tree(root: Path) -> Path:
    """Two folders of frames, of different classes, and two prepared stores."""
    for folder, num in (("cat/a", 3), ("dog/b", 4)):
        for i in range(num):
            frame(root / folder / f"{i}", 10 * i)
    np.save(root / "cat" / "c.npy", np.zeros((5, 3, 4, 6), np.uint8))
    np.save(root / "dog" / "d.npy", np.ones((5, 3, 4, 6), np.uint8))
    return root


def zipped(root: Path, path: Path, *, backwards: bool = False, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(root.rglob("*"), reverse=backwards):
            if file.is_file():
                archive.write(file, file.relative_to(root).as_posix())
    return path


def hashed(root: Path, **options: Any) -> str:
    return digest(IndexedVideos(scan(root, progress=False, **options)))


def by_hand(root: Path, **changes: Any) -> IndexedVideos:
    """A collection of one file, whatever is in it."""
    entry = VideoEntry("a.mp4", "video", num_frames=5, fps=25.0, height=8, width=12, label=1)
    return IndexedVideos(VideoIndex(root, [replace(entry, **changes)], num_classes=3))


def test_is_a_hash_that_stays_from_version_to_version(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(bytes(range(256)) * 600)
    data = (tmp_path / "a.mp4").read_bytes()
    ends = hashlib.sha256(data[: 2**16] + data[-(2**16) :]).hexdigest()
    line = json.dumps(["a.mp4", "video", 5, 8, 12, 25.0, [0.0, 1.0, 0.0], f"{len(data)} {ends}"])
    expected = hashlib.sha256(f"videos, version 1\n{line}\n".encode()).hexdigest()
    assert digest(by_hand(tmp_path)) == expected
    assert expected == "98bcd7dbdc6e9adca23954d5527736f3f8275dcd349cc4c1246ce069e953728d"


@pytest.mark.parametrize("kind", ["folder", "zip", "images", "zip of images"])
def test_neither_place_nor_times_nor_packing_matter(kind: str, tmp_path: Path) -> None:
    root, options = tree(tmp_path / "here" / "data"), {"labels": "folders", "images": "images" in kind}
    copy = tmp_path / "far" / "away"
    if "zip" in kind:
        copy.parent.mkdir()
        root, source = zipped(root, tmp_path / "a.zip"), root
        first = hashed(root, **options)
        zipped(source, copy, backwards=True, method=zipfile.ZIP_DEFLATED).rename(copy.with_suffix(".zip"))
        copy = copy.with_suffix(".zip")
    else:
        first = hashed(root, **options)
        shutil.copytree(root, copy)
        for file in copy.rglob("*"):
            os.utime(file, (1, 1))
    assert hashed(copy, **options) == first
    root.rename(tmp_path / f"moved{root.suffix}")
    assert hashed(tmp_path / f"moved{root.suffix}", **options) == first


@pytest.mark.parametrize(
    "change",
    [
        lambda root: shutil.copytree(root / "cat" / "a", root / "cat" / "new"),
        lambda root: shutil.rmtree(root / "dog" / "b"),
        lambda root: (root / "dog" / "d.npy").unlink(),
        lambda root: (root / "cat" / "a").rename(root / "cat" / "0"),
        lambda root: (root / "cat" / "a").rename(root / "dog" / "a"),
        lambda root: (root / "cat" / "a" / "1.bmp").unlink(),
        lambda root: (root / "cat" / "a" / "1.bmp").rename(root / "cat" / "a" / "7.bmp"),
        lambda root: frame(root / "cat" / "a" / "0", 200),
        lambda root: frame(root / "dog" / "b" / "3", 200),
        lambda root: frame(root / "dog" / "b" / "1", 10, (8, 13)),
        lambda root: [frame(path, 0, (9, 12)) for path in (root / "cat" / "a").iterdir()],
        lambda root: np.save(root / "cat" / "c.npy", np.ones((5, 3, 4, 6), np.uint8)),
        lambda root: np.save(root / "cat" / "c.npy", np.zeros((6, 3, 4, 6), np.uint8)),
        lambda root: np.save(root / "cat" / "c.npy", np.zeros((5, 3, 6, 4), np.uint8)),
    ],
)
def test_whatever_changes_in_a_folder_changes_the_hash(change: Callable[[Path], Any], tmp_path: Path) -> None:
    root = tree(tmp_path / "data")
    first = hashed(root)
    change(root)
    assert hashed(root) != first


@pytest.mark.parametrize("images", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        lambda root: frame(root / "dog" / "b" / "1", 11),  # in the middle, of the same size
        lambda root: (root / "dog" / "b" / "1.bmp").rename(root / "dog" / "b" / "7.bmp"),
        lambda root: (root / "dog" / "b" / "1.bmp").unlink(),
        lambda root: (root / "cat" / "a").rename(root / "cat" / "0"),
    ],
)
def test_whatever_changes_in_a_zip_changes_the_hash(
    change: Callable[[Path], Any], images: bool, tmp_path: Path
) -> None:
    root = tree(tmp_path / "data")
    first = hashed(zipped(root, tmp_path / "a.zip"), images=images)
    change(root)
    assert hashed(zipped(root, tmp_path / "a.zip"), images=images) != first


def test_an_image_of_its_own_is_told_by_its_bytes(tmp_path: Path) -> None:
    root = tree(tmp_path / "data")
    first = hashed(root, images=True)
    frame(root / "dog" / "b" / "1", 11)
    assert hashed(root, images=True) != first


def test_a_zip_and_its_folder_are_different_data(tmp_path: Path) -> None:
    """Their kinds differ, as do the ways in which their content is told."""
    root = tree(tmp_path / "data")
    assert hashed(root) != hashed(zipped(root, tmp_path / "a.zip"))


def test_labels_count(tmp_path: Path) -> None:
    root = tree(tmp_path / "data")
    hashes = {hashed(root), hashed(root, labels="folders")}
    for label in (0, 1, [0.5, 1.0]):
        rows = [["cat/a", label], ["dog/b", label], ["cat/c", label], ["dog/d", label]]
        (root / "dataset.json").write_text(json.dumps({"labels": rows}))
        hashes.add(hashed(root, labels="json"))
    assert len(hashes) == 5


@pytest.mark.parametrize(
    "change", [{"num_frames": 6}, {"fps": 24.0}, {"height": 9}, {"width": 8}, {"label": 2}, {"label": None}]
)
def test_every_fact_of_a_video_counts(change: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"film")
    assert digest(by_hand(tmp_path, **change)) != digest(by_hand(tmp_path))
    assert digest(by_hand(tmp_path, reader="pyav")) == digest(by_hand(tmp_path))  # of the machine, not the data


def test_size_and_both_ends_of_a_file_are_looked_at(tmp_path: Path) -> None:
    size = 3 * 2**16
    data = bytearray(size)

    def with_(place: int) -> str:
        changed = data.copy()
        changed[place] = 1
        (tmp_path / "a.mp4").write_bytes(changed)
        return digest(by_hand(tmp_path))

    ends = [with_(place) for place in (0, 2**16 - 1, 2 * 2**16, size - 1)]
    middle = [with_(place) for place in (2**16, 2 * 2**16 - 1)]
    (tmp_path / "a.mp4").write_bytes(data)
    whole = digest(by_hand(tmp_path))
    (tmp_path / "a.mp4").write_bytes(data + b"\0")
    longer = digest(by_hand(tmp_path))
    assert len({whole, longer, *ends}) == 6
    assert middle == [whole] * 2  # the price of being quick


@pytest.mark.parametrize("size", [0, 1, 2**16 - 1, 2**16, 2**16 + 1, 2**17 - 1, 2**17])
def test_all_of_a_small_file_is_looked_at(size: int, tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(size)
    (tmp_path / "a.mp4").write_bytes(data)
    assert module._ends(tmp_path / "a.mp4") == f"{size} {hashlib.sha256(data).hexdigest()}"


def test_video_files_count_alone_and_in_folders(tmp_path: Path, encode: Encode) -> None:
    encode(tmp_path / "one" / "a.mp4", 5)
    encode(tmp_path / "two" / "a.mp4", 5)
    encode(tmp_path / "two" / "b.mp4", 5)
    alone = hashed(tmp_path / "two" / "a.mp4")
    assert alone == hashed(tmp_path / "one")  # what is named is the same
    assert alone != hashed(tmp_path / "two")


SPRITES = partial(RenderedVideos, SpriteVideo, 3, 10, 40, (16, 24))


class OtherVideo(SpriteVideo):
    """Looks the same and is called otherwise."""


@pytest.mark.parametrize(
    "other",
    [
        RenderedVideos(OtherVideo, 3, 10, 40, (16, 24)),
        RenderedVideos(SpriteVideo, 4, 10, 40, (16, 24)),
        RenderedVideos(SpriteVideo, 3, 11, 40, (16, 24)),
        RenderedVideos(SpriteVideo, 3, 10, 41, (16, 24)),
        RenderedVideos(SpriteVideo, 3, 10, 40, (24, 16)),
        RenderedVideos(partial(SpriteVideo, light=0.13), 3, 10, 40, (16, 24)),
        RenderedVideos(partial(SpriteVideo, fps=24.0), 3, 10, 40, (16, 24)),
        RenderedVideos(SpriteVideo, 3, 10, 40, (16, 24), labelled=True),
        RenderedVideos(SpriteVideo, 3, 10, 40, (16, 24), scales=(1, 2, 1)),
    ],
)
def test_rendered_videos_are_told_by_what_makes_them_and_what_they_show(other: RenderedVideos) -> None:
    assert digest(SPRITES()) == digest(SPRITES())
    assert digest(other) != digest(SPRITES())


def test_frames_of_long_rendered_videos_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []
    read = SpriteVideo.read
    monkeypatch.setattr(SpriteVideo, "read", lambda video, times: looked_at.append(times) or read(video, times))
    digest(RenderedVideos(SpriteVideo, 0, 1, 40, (16, 16)))
    assert np.concatenate(looked_at).tolist() == list(range(40))
    looked_at.clear()
    digest(RenderedVideos(SpriteVideo, 0, 2, 100_000, (16, 16)))
    times = np.concatenate(looked_at)
    assert len(times) == 512 and times[[0, 255]].tolist() == [0, 99_999] and max(map(len, looked_at)) == 32


def test_a_collection_is_looked_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"film")
    videos = by_hand(tmp_path)
    first = digest(videos)
    (tmp_path / "a.mp4").unlink()
    assert digest(videos) == first


def test_a_video_that_is_gone_is_one_clear_error(tmp_path: Path) -> None:
    root = tree(tmp_path / "data")
    videos = IndexedVideos(scan(root, progress=False))
    (root / "dog" / "d.npy").unlink()
    with pytest.raises(InputError, match=r"data: dog/d cannot be read \(No such file or directory\): start again"):
        digest(videos)
    np.save(root / "dog" / "d.npy", np.ones((5, 3, 4, 6), np.uint8))
    for file in (root / "cat" / "a").iterdir():
        file.unlink()
    with pytest.raises(InputError, match=r"cat/a cannot be read \(not there\)"):
        digest(videos)
    archive = zipped(root, tmp_path / "a.zip")
    videos = IndexedVideos(scan(archive, progress=False))
    zipped(root / "cat", archive)
    with pytest.raises(InputError, match=r"dog/b cannot be read \(not there\)"):
        digest(videos)
    archive.write_bytes(b"no zip")
    with pytest.raises(InputError, match="not a zip that can be read"):
        digest(videos)


class Unknown:
    """A collection of another kind."""

    lengths, labels = np.zeros(1, np.int64), np.zeros((1, 0), np.float32)

    def open(self, index: int) -> SpriteVideo:
        return SpriteVideo(index, 5, (16, 16))


def test_collections_of_unknown_classes_have_no_digest() -> None:
    with pytest.raises(TypeError, match="Unknown: collections of this class have no digest"):
        digest(Unknown())


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_terminals(terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"film")
    errors = io.StringIO()
    errors.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    digest(by_hand(tmp_path))
    assert ("fingerprints: 100%" in errors.getvalue()) is terminal


def test_halves_are_the_alternating_ranks_of_the_hashes() -> None:
    names = [f"class {i % 3}/{i}.mp4" for i in range(11)]
    ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    validation, test = halves(names)
    assert {names[i] for i in validation} == set(ranked[0::2])
    assert {names[i] for i in test} == set(ranked[1::2])
    assert sorted([*validation, *test]) == list(range(11)) and (len(validation), len(test)) == (6, 5)
    assert (np.diff(validation) > 0).all() and (np.diff(test) > 0).all()


def test_halves_do_not_depend_on_the_order() -> None:
    names = [f"{i}" for i in range(50)]
    validation, _ = halves(names)
    order = np.random.default_rng(0).permutation(50)
    mixed = [names[i] for i in order]
    assert {mixed[i] for i in halves(mixed)[0]} == {names[i] for i in validation}


@pytest.mark.parametrize(
    "names, sizes", [([], (0, 0)), (["a"], (1, 0)), (["a", "b"], (1, 1)), (["\udce9", "ü"], (1, 1))]
)
def test_halves_of_few_videos(names: list[str], sizes: tuple[int, int]) -> None:
    assert tuple(len(half) for half in halves(names)) == sizes
