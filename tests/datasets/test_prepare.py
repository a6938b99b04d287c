from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datasets import prepare_video, stores
from datasets.index import VideoIndex, scan
from datasets.prepare import parse_resolution, prepare
from datasets.prepare_video import fit
from datasets.sources import decode_image
from errors import InputError

Encode = Callable[..., Path]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def src(tmp_path: Path, encode: Encode) -> Path:
    """Three videos of two classes, one of them open to doubt, and one broken file."""
    root = tmp_path / "src"
    encode(root / "cat" / "a10.mp4", 23)
    encode(root / "cat" / "a9.mkv", 9)
    encode(root / "dog" / "b.avi", 12, codec="mpeg4", options={"bf": "2"})
    (root / "dog" / "broken.mp4").write_bytes(b"")
    return root


@pytest.fixture
def run(src: Path, tmp_path: Path) -> Callable[..., VideoIndex]:
    """Prepares `src` in this process and scans the store."""

    def prepare_and_scan(name: str = "out.zip", **options: Any) -> VideoIndex:
        options = {"resolution": "64x128", "workers": 1, **options}
        prepare(src, tmp_path / name, format="zip" if name.endswith(".zip") else "raw", **options)
        return scan(tmp_path / name, progress=False)

    return prepare_and_scan


def manifest_of(dst: Path) -> dict[str, Any]:
    if dst.is_dir():
        return json.loads((dst / "manifest.json").read_text())
    with zipfile.ZipFile(dst) as archive:
        return json.loads(archive.read("manifest.json"))


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


def test_the_quality_reaches_the_files(run: Callable[..., VideoIndex], tmp_path: Path) -> None:
    """The original passes it under a wrong name, and writes the default of 75."""

    def tables(name: str) -> dict[int, list[int]]:
        with zipfile.ZipFile(tmp_path / name) as archive, archive.open("dog/b/000000.jpg") as file:
            return Image.open(file).quantization

    def expected(quality: int) -> dict[int, list[int]]:
        Image.new("RGB", (8, 8)).save(tmp_path / "q.jpg", quality=quality)
        return Image.open(tmp_path / "q.jpg").quantization

    run("default.zip")
    run("low.zip", quality=60)
    assert tables("default.zip") == expected(95)
    assert tables("low.zip") == expected(60)


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


def interrupt_after(count: int, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> list[str]:
    """Lets frames be resized until ``count`` of them are; returns the list that grows with every one."""
    seen: list[str] = []

    def fit_or_fail(*arguments: Any) -> Any:
        if len(seen) == count:
            raise error
        seen.append("frame")
        return fit(*arguments)

    monkeypatch.setattr(prepare_video, "fit", fit_or_fail)
    return seen


@pytest.mark.parametrize("name", ["out.zip", "out"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device", "part")])
def test_a_stopped_run_goes_on_where_it_was(
    name: str, error: BaseException, run: Callable[..., VideoIndex], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("whole" + name)
    with monkeypatch.context() as patch:
        interrupt_after(20, patch, error)
        with pytest.raises(type(error)) as caught:
            run(name)
    if isinstance(error, OSError):
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / name))
    assert not (tmp_path / name).exists()
    assert not list(tmp_path.rglob("*.tmp"))
    with monkeypatch.context() as patch:
        seen = interrupt_after(1000, patch, error)
        index = run(name)
    assert len(seen) == 44 - 9  # the first video was complete
    assert index.videos == whole.videos
    assert manifest_of(tmp_path / name) == manifest_of(tmp_path / f"whole{name}")
    if name == "out.zip":
        assert (tmp_path / name).read_bytes() == (tmp_path / f"whole{name}").read_bytes()
    assert not (tmp_path / f"{name}.partial").exists()


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_a_disk_that_fills_up_at_the_end_leaves_the_parts(
    name: str, run: Callable[..., VideoIndex], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attribute = "_add" if name == "out.zip" else "write_json"
    original = getattr(stores, attribute)

    def full(*arguments: Any) -> None:
        if any(str(argument).endswith("manifest.json") for argument in arguments):
            raise OSError(errno.ENOSPC, "No space left on device")
        original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(stores, attribute, full)
        with pytest.raises(OSError, match="No space left"):
            run(name)
    assert not (tmp_path / name).exists()
    assert not list(tmp_path.rglob("*.tmp"))
    with monkeypatch.context() as patch:
        assert interrupt_after(0, patch, RuntimeError()) == []  # nothing has to be decoded again
        assert len(run(name).videos) == 3


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_videos_that_change_or_go_between_two_runs_are_seen(
    name: str,
    run: Callable[..., VideoIndex],
    src: Path,
    encode: Encode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(40, patch, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run(name)
    (src / "cat" / "a9.mkv").unlink()
    encode(src / "cat" / "a10.mp4", 25)
    assert [(video.name, video.num_frames) for video in run(name).videos] == [("cat/a10", 25), ("dog/b", 12)]


def test_a_run_is_not_continued_with_other_settings(
    run: Callable[..., VideoIndex], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(20, patch, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run()
    with pytest.raises(InputError, match=r"out\.zip\.partial: begun with other settings"):
        run(quality=80)


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


@pytest.mark.parametrize(
    "dst, options, message",
    [
        ("out", {"format": "zip"}, "a name ending in .zip goes with"),
        ("out.zip", {"format": "raw"}, "a name ending in .zip goes with"),
        ("src/out.zip", {}, "lies inside"),
        ("there.zip", {}, "is there already"),
        ("out.zip", {"src": "missing"}, "no such folder or file"),
        ("out.zip", {"resolution": "64x"}, "resolution: '64x' is not possible"),
        ("out.zip", {"resolution": 2}, "resolution: 2 is not possible"),
        ("out.zip", {"quality": 0}, "quality: 0"),
        ("out.zip", {"start_frame": -1}, "start_frame: -1"),
        ("out.zip", {"max_frames": 0}, "max_frames: 0"),
        ("out.zip", {"chunk_frames": 0}, "chunk_frames: 0"),
        ("out.zip", {"workers": 0}, "workers: 0"),
    ],
)
def test_impossible_requests_are_refused_beforehand(
    dst: str, options: dict[str, Any], message: str, src: Path, tmp_path: Path
) -> None:
    (tmp_path / "there.zip").write_text("")
    with pytest.raises(InputError, match=message):
        prepare(tmp_path / options.pop("src", "src"), tmp_path / dst, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["src", "there.zip"]


@pytest.mark.parametrize(
    "text, size", [(256, (256, 256)), ("64", (64, 64)), ("144x256", (144, 256)), ("144X256", (144, 256))]
)
def test_resolutions_are_height_by_width(text: int | str, size: tuple[int, int]) -> None:
    assert parse_resolution(text) == size


@pytest.mark.parametrize("text", ["", "x", "a", "12x", "x12", "1.5", "-8", "8x8x8", "0", "99999", "16x-16"])
def test_what_is_no_resolution_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="resolution"):
        parse_resolution(text)


def ramp(height: int, width: int) -> np.ndarray:
    """A frame whose red is the row and whose green is the column."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)


def test_a_frame_of_the_right_size_is_left_alone() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert fit(frame, (20, 30)) is frame


@pytest.mark.parametrize("height, width, size", [(60, 100, (30, 30)), (100, 60, (30, 30)), (64, 64, (18, 32))])
def test_the_centre_is_kept_and_covers_the_whole_frame(height: int, width: int, size: tuple[int, int]) -> None:
    """A linear ramp stays one under any resampling, away from the edges."""
    fitted = fit(ramp(height, width), size).astype(float)
    scale = min(height / size[0], width / size[1])
    for axis, (side, length) in enumerate([(size[0], height), (size[1], width)]):
        centres = (np.arange(side) + 0.5) * scale - 0.5 + (length - scale * side) / 2
        seen = fitted.mean(axis=1 - axis)[:, axis]
        np.testing.assert_allclose(seen[3:-3], centres[3:-3], atol=1)


def test_stretching_keeps_everything() -> None:
    fitted = fit(ramp(60, 120), (30, 30), "stretch").astype(float)
    np.testing.assert_allclose(fitted[3:-3, 15, 0], 2 * np.arange(3, 27) + 0.5, atol=1)
    np.testing.assert_allclose(fitted[15, 3:-3, 1], 4 * np.arange(3, 27) + 1.5, atol=1)


@pytest.mark.parametrize("filter", ["lanczos", "bicubic", "bilinear", "box"])
def test_shrinking_averages(filter: str) -> None:
    """A checkerboard becomes grey, not moire."""
    board = (np.indices((96, 96)).sum(0) % 2 * 255).astype(np.uint8)
    fitted = fit(np.repeat(board[..., None], 3, 2), (23, 23), "center", filter)
    assert np.abs(fitted[2:-2, 2:-2].astype(int) - 127).max() < 24


def command(*arguments: Any, **options: Any) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", "datasets.prepare", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, cwd=REPOSITORY, **options)


def test_the_help_teaches_without_loading_decoders() -> None:
    done = command("--help")
    assert done.returncode == 0
    for text in ["Examples:", "144x256", "Ctrl-C", "--quality", "--chunk_frames", "default: 95"]:
        assert text in done.stdout
    program = "import sys, datasets.prepare; print({'torch', 'av', 'decord', 'numpy', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout.strip() == "set()"


def test_the_command_reports_a_mistake_in_one_line(tmp_path: Path) -> None:
    done = command(tmp_path / "missing", tmp_path / "out.zip")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"prepare: error: {tmp_path / 'missing'}: no such folder or file; give the folder that holds your videos"
    ]
    done = command(tmp_path, tmp_path / "out.zip", "--resolutio", 64)
    assert done.returncode == 2
    assert done.stderr == "prepare: error: resolutio: no such option: did you mean resolution?\n"


@pytest.mark.slow
def test_the_command_works_with_several_processes(
    src: Path, tmp_path: Path, numbers_in: Callable[..., list[int]], run: Callable[..., VideoIndex]
) -> None:
    done = command(src, tmp_path / "out.zip", "--resolution", "64x128", "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 videos, 44 frames, ")
    assert "44/44" in done.stderr  # the progress bar
    run("alone.zip")
    assert (tmp_path / "out.zip").read_bytes() == (tmp_path / "alone.zip").read_bytes()


@pytest.mark.slow
def test_ctrl_c_stops_the_command_and_the_next_one_goes_on(tmp_path: Path, encode: Encode) -> None:
    for i in range(6):
        encode(tmp_path / "src" / f"{i}.mp4", 200, size=(144, 256))
    dst = tmp_path / "out.zip"
    words = [sys.executable, "-m", "datasets.prepare", str(tmp_path / "src"), str(dst), "--workers", "2"]
    words += ["--resolution", "384"]
    running = subprocess.Popen(words, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, start_new_session=True)
    done = tmp_path / "out.zip.partial" / "done"
    until = time.monotonic() + 100
    while not (done.is_dir() and any(done.iterdir())) and time.monotonic() < until:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to all processes
    errors = running.communicate(timeout=60)[1]
    assert running.returncode == 130, errors
    assert errors.rstrip().endswith("prepare: stopped; run the same command again to go on")
    assert "Traceback" not in errors
    assert not dst.exists()
    first = {path.name: path.stat().st_mtime_ns for path in done.iterdir()}
    assert 1 <= len(first) < 6
    assert not list(tmp_path.rglob("*.tmp"))

    again = subprocess.Popen(words, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 100
    while len(list(done.glob("*.json"))) < 6 and again.poll() is None and time.monotonic() < until:
        assert first.items() <= {path.name: path.stat().st_mtime_ns for path in done.iterdir()}.items() or dst.exists()
        time.sleep(0.01)
    assert again.wait(100) == 0
    assert manifest_of(dst)["totals"]["frames"] == 1200
    with zipfile.ZipFile(dst) as archive:
        assert decode_image(archive.read("3/000199.jpg")).shape == (384, 384, 3)
