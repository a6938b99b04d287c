"""A whole store: what is in it, what is not, and what its manifest says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from datasets import prepare_video
from datasets.index import VideoIndex, scan
from datasets.prepare import prepare
from errors import InputError
from tests.datasets.manifest import manifest_of

Encode = Callable[..., Path]
pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_a_store_holds_every_frame_of_every_usable_video(
    name: str, run: Callable[..., VideoIndex], numbers_in: Callable[..., list[int]], src: Path, tmp_path: Path
) -> None:
    index = run(name)
    assert [(video.name, video.num_frames, video.fps) for video in index.videos] == [
        ("cat/a9", 9, 25),
        ("cat/a10", 23, 25),
        ("dog/b", 12, 25),
    ]
    original = scan(src, progress=False)
    for i, video in enumerate(index.videos):
        read, expected = index.open(i).read(range(video.num_frames)), original.open(i).read(range(video.num_frames))
        assert numbers_in(read) == list(range(video.num_frames))
        assert (read.float() - expected.float()).abs().mean() < (3 if name == "out.zip" else 1e-9)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["src", "cache", name])


def test_the_manifest_says_what_was_done(run: Callable[..., VideoIndex], tmp_path: Path) -> None:
    run(resolution=32, quality=90, filter="bicubic", max_frames=10, min_frames=10)
    manifest = manifest_of(tmp_path / "out.zip")
    videos, skipped = manifest.pop("videos"), manifest.pop("skipped")
    num_bytes = sum(video["num_bytes"] for video in videos.values())
    assert manifest == {
        "source": "src",
        "format": "zip",
        "resolution": [32, 32],
        "crop": "center",
        "filter": "bicubic",
        "quality": 90,
        "start_frame": 0,
        "max_frames": 10,
        "chunk_frames": None,
        "min_frames": 10,
        "totals": {"videos": 2, "frames": 20, "bytes": num_bytes, "skipped": 2},
    }
    assert skipped == {"cat/a9.mkv": "too short: 9 frames", "dog/broken.mp4": "empty: the file has 0 bytes"}
    assert str(tmp_path) not in json.dumps(videos)  # the store may travel; where it was made stays private
    video = videos["dog/b"]
    assert len(video.pop("sha256")) == 64
    assert video == {
        "source": "dog/b.avi",
        "source_size": [64, 128],
        "enlarged": False,
        "first_frame": 0,
        "fps": 25.0,
        "num_frames": 10,
        "num_bytes": video["num_bytes"],
    }


def test_videos_can_be_cut_into_pieces(
    run: Callable[..., VideoIndex], numbers_in: Callable[..., list[int]], tmp_path: Path
) -> None:
    index = run("out", start_frame=2, chunk_frames=6)
    assert [(video.name, video.num_frames) for video in index.videos] == [
        ("cat/a9_0000", 6),
        ("cat/a10_0000", 6),
        ("cat/a10_0001", 6),
        ("cat/a10_0002", 6),
        ("dog/b_0000", 6),
    ]
    assert numbers_in(index.open(3).read(range(6))) == list(range(14, 20))
    assert manifest_of(tmp_path / "out")["videos"]["cat/a10_0002"]["first_frame"] == 14


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_labels_come_along(name: str, run: Callable[..., VideoIndex], src: Path, tmp_path: Path) -> None:
    (src / "dataset.json").write_text(json.dumps({"labels": [["cat/a10.mp4", 3], ["cat/a9.mkv", 0], ["dog/b.avi", 1]]}))
    run(name)
    by_json = scan(tmp_path / name, labels="json", progress=False)
    assert {video.name: video.label for video in by_json.videos} == {"cat/a9": 0, "cat/a10": 3, "dog/b": 1}
    by_folder = scan(tmp_path / name, labels="folders", progress=False)
    assert {video.name: video.label for video in by_folder.videos} == {"cat/a9": 0, "cat/a10": 0, "dog/b": 1}


def test_missing_labels_are_said_and_left_to_training(
    run: Callable[..., VideoIndex], src: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (src / "dataset.json").write_text(json.dumps({"labels": [["cat/a10.mp4", [0.5, 1]]]}))
    run()
    assert "2 videos have no label" in caplog.text
    with pytest.raises(InputError, match="'cat/a9'"):
        scan(tmp_path / "out.zip", labels="json", progress=False)


def test_a_store_can_be_made_from_a_store(
    run: Callable[..., VideoIndex], numbers_in: Callable[..., list[int]], tmp_path: Path
) -> None:
    run("first.zip")
    for source, target in [("first.zip", "second"), ("second", "third.zip")]:
        prepare(
            tmp_path / source,
            tmp_path / target,
            "32x64",
            format="raw" if target == "second" else "zip",
            workers=1,
        )
    index = scan(tmp_path / "third.zip", progress=False)
    assert [(video.name, video.height, video.width) for video in index.videos] == [
        ("cat/a9", 32, 64),
        ("cat/a10", 32, 64),
        ("dog/b", 32, 64),
    ]
    assert numbers_in(index.open(1).read([22, 0])) == [22, 0]


def test_names_stay_apart(tmp_path: Path, encode: Encode) -> None:
    for name in ["a.mp4", "a.mkv", "b.mp4"]:
        encode(tmp_path / "src" / name, 3)
    prepare(tmp_path / "src", tmp_path / "out.zip", 16, workers=1)
    assert sorted(manifest_of(tmp_path / "out.zip")["videos"]) == ["a.mkv", "a.mp4", "b"]


def test_frames_in_the_root_itself_become_one_video(tmp_path: Path) -> None:
    (tmp_path / "walk").mkdir()
    for i in range(3):
        Image.new("RGB", (8, 8), (i, i, i)).save(tmp_path / "walk" / f"{i}.png")
    prepare(tmp_path / "walk", tmp_path / "out.zip", 8, workers=1)
    assert list(manifest_of(tmp_path / "out.zip")["videos"]) == ["walk"]


def test_a_video_that_fails_on_the_way_is_skipped_with_its_reason(
    run: Callable[..., VideoIndex], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source_of = prepare_video.source_of

    def vanish(root: Path, name: str, *rest: Any) -> Any:
        if name == "cat/a10.mp4":
            scan(root, progress=False)
            (root / name).unlink()
        return source_of(root, name, *rest)

    monkeypatch.setattr(prepare_video, "source_of", vanish)
    assert [video.name for video in run().videos] == ["cat/a9", "dog/b"]
    assert manifest_of(tmp_path / "out.zip")["skipped"]["cat/a10.mp4"] == "missing"


def test_when_nothing_is_left_one_error_says_why(run: Callable[..., VideoIndex], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of its 3 videos .* such as cat/a9\.mkv: too short: 9 frames"):
        run(start_frame=1000)
    assert not list(tmp_path.glob("out.zip*"))
