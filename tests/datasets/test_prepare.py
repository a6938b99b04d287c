"""Requests that cannot be met, and the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.index import VideoIndex
from datasets.prepare import parse_resolution, prepare
from datasets.sources import decode_image
from errors import InputError
from tests.datasets.manifest import manifest_of

Encode = Callable[..., Path]
REPOSITORY = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("own_cache")


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
