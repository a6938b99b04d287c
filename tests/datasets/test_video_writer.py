from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.files import remove_stale
from datasets.settings import read_settings, settings_path
from datasets.video_writer import exact_rate, open_writer, tile, write_image
from errors import InputError
from tests.datasets.written import NAMES, content, psnr, read, write

Clip = Callable[..., torch.Tensor]

SETTINGS = {"seed": 3, "label": "Übung", "times": [0.5, 1e6]}


@pytest.mark.parametrize("name", NAMES)
def test_every_format_reads_back_in_order(
    name: str, coded_clip: Clip, numbers_in: Callable[..., list[int]], tmp_path: Path
) -> None:
    clip = coded_clip(range(20))
    frames = read(write(tmp_path / name, clip, metadata=SETTINGS))
    assert frames.shape == clip.shape
    assert numbers_in(frames) == list(range(20))
    assert frames.equal(clip) if name in ("a.npy", "frames") else psnr(frames, clip) > 33


@pytest.mark.parametrize("name", NAMES)
def test_the_same_frames_and_settings_are_the_same_bytes(name: str, coded_clip: Clip, tmp_path: Path) -> None:
    """Neither a date nor a random number, and however the frames come in."""
    clip = coded_clip(range(30)) + torch.randint(0, 20, (30, 3, 64, 128), dtype=torch.uint8)
    one, two = (write(tmp_path / some / name, clip, some=int(some), metadata=SETTINGS) for some in ("30", "7"))
    assert content(one) == content(two)
    assert content(one) != content(write(tmp_path / "other" / name, clip, metadata={**SETTINGS, "seed": 4}))


@pytest.mark.parametrize("name", NAMES)
def test_settings_change_no_frame(name: str, coded_clip: Clip, tmp_path: Path) -> None:
    clip = coded_clip(range(5))
    with_settings, without = (write(tmp_path / str(m is None) / name, clip, metadata=m) for m in (SETTINGS, None))
    assert read(with_settings).equal(read(without))
    assert not [file for file in content(without) if file.endswith(".json")]


@pytest.mark.parametrize("name", NAMES)
def test_a_failure_leaves_what_was_there_before_and_nothing_else(name: str, coded_clip: Clip, tmp_path: Path) -> None:
    def fail() -> None:
        with open_writer(tmp_path / name, 25, metadata=SETTINGS) as writer:
            writer.write(coded_clip(range(30)))
            raise KeyboardInterrupt

    if name != "frames":
        (tmp_path / name).write_text("before")
        (tmp_path / f"{name}.json").write_text("{}")
    before = {file: file.read_text() for file in tmp_path.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        fail()
    assert {file: file.read_text() for file in tmp_path.iterdir()} == before
    write(tmp_path / name, coded_clip(range(3)), metadata=SETTINGS)
    assert sorted(file.name for file in tmp_path.iterdir()) == ([name] if name == "frames" else [name, f"{name}.json"])


def test_a_killed_process_leaves_nothing_under_the_final_names(tmp_path: Path) -> None:
    program = """
import os, signal, sys, torch
from datasets.video_writer import open_writer
for path in sys.argv[1:]:
    if not os.fork():
        with open_writer(path, 25, metadata={"a": 1}) as writer:
            writer.write(torch.zeros(60, 3, 64, 64, dtype=torch.uint8))
            os.kill(os.getpid(), signal.SIGKILL)
    print(os.wait()[1])
"""
    paths = [tmp_path / name / name for name in NAMES]
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["9"] * len(NAMES)
    for path in paths:
        left = sorted(path.parent.iterdir())
        assert left and all(file.match(".*.tmp") for file in left)
        assert len(remove_stale(path)) == 1
        remove_stale(settings_path(path))
        assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.npy", "frames"])
def test_settings_are_there_when_the_video_appears(
    name: str, coded_clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, seen = os.replace, []

    def watched(source: Path, target: Path) -> None:
        replace(source, target)
        seen.append((Path(target).name, sorted(file.name for file in tmp_path.iterdir() if file.name[0] != ".")))

    if name == "a.npy":
        write(tmp_path / name, coded_clip([7]), metadata={})
    monkeypatch.setattr(os, "replace", watched)
    write(tmp_path / name, coded_clip([1]), metadata=SETTINGS)
    if name == "frames":
        assert seen == [("frames", ["frames"])] and (tmp_path / "frames" / "settings.json").is_file()
    else:  # of two arrays, neither holds settings: the old one is gone before the new settings come
        assert seen == [(f"{name}.json", [f"{name}.json"]), (name, [name, f"{name}.json"])]


def test_settings_of_an_earlier_file_go_with_it(coded_clip: Clip, tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", coded_clip([1]), metadata=SETTINGS)
    write(tmp_path / "a.mp4", coded_clip([1]))
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("name", NAMES)
def test_a_video_without_frames_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one frame"):
        write(tmp_path / name, torch.empty(0, 3, 8, 8, dtype=torch.uint8), metadata=SETTINGS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(0, 8), (8, 0), (32, 64)])
def test_frames_of_one_video_have_one_size_of_pixels(
    name: str, size: tuple[int, int], coded_clip: Clip, tmp_path: Path
) -> None:
    def write_two_sizes() -> None:
        with open_writer(tmp_path / name, 25, metadata=SETTINGS) as writer:
            if all(size):
                writer.write(coded_clip(range(3)))
            writer.write(torch.zeros(1, 3, *size, dtype=torch.uint8))

    with pytest.raises(InputError, match="32x64 after frames of 64x128" if all(size) else "hold no pixel"):
        write_two_sizes()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk; short videos meet it only when they are completed."""
    program = """
import resource, signal, sys, torch
from datasets.video_writer import open_writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
for path in sys.argv[1:]:
    for num_frames in (2, 60):
        try:
            with open_writer(path, 25, metadata={"a": 1}) as writer:
                writer.write(torch.randint(0, 256, (num_frames, 3, 64, 128), dtype=torch.uint8))
        except OSError as error:
            print(error.filename == path, error.errno)
"""
    paths = [str(tmp_path / "out" / name) for name in NAMES]
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"True {errno.EFBIG}"] * 2 * len(NAMES)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_disk_that_is_full_only_in_the_end_leaves_nothing(
    name: str, coded_clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for metadata in (None, SETTINGS):
        with pytest.raises(OSError, match="No space left") as failure:
            write(tmp_path / name, coded_clip(range(3)), metadata=metadata)
        assert (failure.value.errno, failure.value.filename) == (errno.ENOSPC, str(tmp_path / name))
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path: Path) -> None:
    program = """
import os, sys, torch
from datasets.video_writer import open_writer
from datasets import animations, encoded_writer, writers
import av, einops
from errors import clear_errors
os.chmod(sys.argv[1], 0o555)
if os.geteuid() == 0:  # whom no permission stops
    os.setuid(65534)
for name in sys.argv[2:]:
    try:
        with clear_errors("generate.py"), open_writer(f"{sys.argv[1]}/{name}", 25) as writer:
            writer.write(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    except SystemExit as error:
        print(error.code)
"""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", program, tmp_path, *NAMES], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["2"] * len(NAMES)
    for name, line in zip(NAMES, done.stderr.splitlines(), strict=True):
        assert line == f"generate.py: error: {tmp_path / name}: no permission: choose a folder you may use"


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("a.avi", {}, r"videos end in \.mp4, \.mov, \.mkv, \.webm, \.gif, \.webp, \.npy, folders of png files in no"),
        ("a.png", {}, "folders of png files in no suffix"),
        ("a.webm", {"codec": "h264"}, "h264 does not go into .webm"),
        ("a.mp4", {"codec": "divx"}, "'divx' is none of h264, h265, vp9, h264rgb"),
        ("a.gif", {"codec": "h264"}, "codec: .gif files take none"),
        ("a.mp4", {"crf": 52}, "crf: 52 .* give 0 .best. to 51"),
        ("a.mp4", {"crf": -1}, "crf: -1 .* give 0"),
        ("a.webm", {"crf": 64}, "to 63"),
        ("a.webp", {"crf": 101}, "to 100"),
        ("a.gif", {"crf": 20}, "crf: .gif files take none"),
        ("a.npy", {"crf": 0}, "crf: .npy files take none"),
        ("frames", {"crf": 0}, "crf: png files take none"),
        ("a.mp4", {"fps": 0}, "fps: 0 "),
        ("a.mp4", {"fps": -25}, "fps: -25 "),
        ("a.webm", {"fps": 1e-9}, "fps: 1e-09 .* give a rate from 0.01 to 1000"),
        ("a.npy", {"fps": 1001}, "fps: 1001 "),
        ("a.webp", {"fps": float("inf")}, "fps: inf "),
        ("a.gif", {"fps": float("nan")}, "fps: nan "),
        ("full", {}, "there already"),
        ("full.mp4", {}, "there already"),
        ("file", {}, "is a file, where a folder"),
        ("b.mp4", {}, r"b\.mp4\.json: is a folder, where settings"),
        ("a.mp4", {"metadata": {"long": "a" * 2**20}}, "settings of .* bytes do not fit, 1048576 do"),
    ],
)
def test_impossible_requests_are_refused_beforehand(
    name: str, options: dict[str, Any], message: str, coded_clip: Clip, tmp_path: Path
) -> None:
    for folder in ("full", "full.mp4", "b.mp4.json"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "keep").write_text("")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=message) as refusal:
        write(tmp_path / name, coded_clip(range(2)), **options)
    assert "\n" not in str(refusal.value)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.mp4.json", "file", "full", "full.mp4"]


def test_an_empty_folder_is_filled(coded_clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    assert read(write(tmp_path / "frames", coded_clip(range(3)))).equal(coded_clip(range(3)))


@pytest.mark.parametrize(
    "fps, rate",
    [
        (25, Fraction(25)),
        (29.97, Fraction(30000, 1001)),
        (30000 / 1001, Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        (23.98, Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (119.88, Fraction(120000, 1001)),
        (30, Fraction(30)),
        (29.96, Fraction(749, 25)),
        (12.5, Fraction(25, 2)),
        (0.01, Fraction(1, 100)),
        (100 / 3, Fraction(100, 3)),
        (Fraction(15000, 1001), Fraction(15000, 1001)),
    ],
)
def test_rates_are_fractions(fps: float | Fraction, rate: Fraction) -> None:
    assert exact_rate(fps) == rate


def test_a_picture_is_exact_and_says_its_settings(tmp_path: Path) -> None:
    image = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    write_image(tmp_path / "new" / "a.png", image, metadata=SETTINGS)
    with Image.open(tmp_path / "new" / "a.png") as picture:
        assert torch.from_numpy(np.array(picture)).permute(2, 0, 1).equal(image)
    assert read_settings(tmp_path / "new" / "a.png") == SETTINGS
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["a.png", "a.png.json"]
    write_image(tmp_path / "new" / "a.png", image)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a.png"]
    with pytest.raises(InputError, match=r"a picture ends in \.png"):
        write_image(tmp_path / "a.jpg", image)


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as failure:
        write_image(tmp_path / "a.png", torch.zeros(3, 5, 7, dtype=torch.uint8), metadata=SETTINGS)
    assert failure.value.filename == str(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_tiles_stand_row_by_row() -> None:
    videos = torch.arange(5)[:, None, None, None, None].expand(5, 2, 1, 2, 2)
    expected = [
        [0, 0, 9, 1, 1, 9, 2, 2],
        [0, 0, 9, 1, 1, 9, 2, 2],
        [9, 9, 9, 9, 9, 9, 9, 9],
        [3, 3, 9, 4, 4, 9, 9, 9],
        [3, 3, 9, 4, 4, 9, 9, 9],
    ]
    for columns in (3, None):
        grid = tile(videos, columns, gap=1, value=9)
        assert grid.shape == (2, 1, 5, 8)
        assert grid[1, 0].tolist() == expected
    assert tile(videos, 1, gap=0).shape == (2, 1, 10, 2)
    assert tile(videos, 99, gap=2).shape == (2, 1, 2, 18)
    assert tile(videos[:1], gap=3).equal(videos[0])
