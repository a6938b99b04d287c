from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.pyav_readers import SeekingReader
from datasets.sources import FrameFolder, VideoFile
from datasets.video_facts import decord_is_there
from datasets.video_writer import VideoWriter, open_writer, tile
from datasets.writers import GifWriter
from errors import InputError

Clip = Callable[..., torch.Tensor]


def write(path: Path, clip: torch.Tensor, fps: float = 25, **options: Any) -> Path:
    with open_writer(path, fps, **options) as writer:
        assert isinstance(writer, VideoWriter)
        for some in clip.split(7):
            writer.write(some)
    return path


@pytest.mark.parametrize(
    "name, codec",
    [
        ("a.mp4", "h264"),
        ("a.mov", "h264"),
        ("a.mkv", "h264"),
        ("a.mp4", "h265"),
        ("a.webm", "vp9"),
        ("a.mp4", "vp9"),
        ("a.mp4", "h264rgb"),
        ("a.gif", "h264"),
    ],
)
def test_every_frame_is_read_back_as_it_was_written(
    name: str, codec: str, coded_clip: Clip, numbers_in: Callable[..., list[int]], tmp_path: Path
) -> None:
    clip = coded_clip(range(60))
    video = VideoFile(write(tmp_path / name, clip, codec=codec))
    assert (len(video), video.size, video.fps) == (60, (64, 128), pytest.approx(25))
    read = video.read(range(60))
    assert numbers_in(read) == list(range(60))
    if codec == "h264rgb":
        assert read.equal(clip)
    elif name != "a.gif":
        error = (read.float() - clip.float()).square().mean()
        assert 10 * torch.log10(255**2 / error) > 33  # sharp edges, colour at half resolution
    if name != "a.gif" and decord_is_there():
        assert video.facts.reader == "decord"  # closed groups of pictures, no edit list


def test_colours_survive(tmp_path: Path) -> None:
    """The colour matrix is said in the file, and both readers follow it."""
    colours = torch.tensor([[230, 20, 30], [20, 200, 40], [10, 30, 220], [250, 250, 250], [128, 128, 128], [0, 0, 0]])
    clip = colours.to(torch.uint8)[:, :, None, None].expand(6, 3, 64, 128)
    video = VideoFile(write(tmp_path / "a.mp4", clip))
    seeking = SeekingReader(tmp_path / "a.mp4")
    for i, colour in enumerate(colours):
        assert (video.read([i])[0].float().mean((1, 2)) - colour).abs().max() < 3
        assert np.abs(seeking.frame(i).mean((0, 1)) - colour.numpy()).max() < 3


@pytest.mark.parametrize("fps", [24, 25, 29.97, 30000 / 1001, 60, 12.5, 0.5])
def test_the_rate_is_kept(fps: float, coded_clip: Clip, tmp_path: Path) -> None:
    assert VideoFile(write(tmp_path / "a.mp4", coded_clip(range(8)), fps)).fps == pytest.approx(fps, rel=1e-6)


def test_odd_sides_are_padded_by_repeating_the_edge(
    coded_clip: Clip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = coded_clip(range(3), 65, 129)
    with caplog.at_level("INFO"):
        read = VideoFile(write(tmp_path / "a.mp4", clip, quality=1)).read(range(3))
    assert read.shape == (3, 3, 66, 130)
    assert (read[:, :, :65, :129].float() - clip).abs().mean() < 3
    assert (read[:, :, 65].float() - read[:, :, 64].float()).abs().mean() < 3
    assert [record.message for record in caplog.records if "padded" in record.message] == [
        "frames of 65x129 are padded to even sides by repeating their edge"
    ]
    assert VideoFile(write(tmp_path / "b.mp4", clip, codec="h264rgb")).read([1])[0].equal(clip[1])


def test_quality_is_a_constant_rate_factor(tmp_path: Path) -> None:
    noise = torch.randint(0, 256, (5, 3, 64, 128), dtype=torch.uint8)
    sizes = [write(tmp_path / f"{q}.mp4", noise, quality=q).stat().st_size for q in (0, 18, 40)]
    assert sizes[0] > 1.5 * sizes[1] > 3 * sizes[2]


def test_pictures_are_exact(coded_clip: Clip, tmp_path: Path) -> None:
    clip = coded_clip(range(12), 5, 20)
    folder = write(tmp_path / "new" / "frames", clip)
    assert sorted(file.name for file in folder.iterdir())[-1] == "000011.png"
    assert FrameFolder(folder).read(range(12)).equal(clip)


def test_a_gif_lasts_as_long_as_the_video(coded_clip: Clip, tmp_path: Path) -> None:
    with Image.open(write(tmp_path / "a.gif", coded_clip(range(31)), fps=30)) as gif:
        durations = []
        for i in range(gif.n_frames):
            gif.seek(i)
            durations.append(gif.info["duration"])
    assert set(durations) == {30, 40}  # hundredths of a second are all there is
    assert sum(durations) == pytest.approx(1000 * 31 / 30, abs=10)


def test_gifs_have_limits(coded_clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    write(tmp_path / "a.gif", coded_clip(range(3)), fps=60)
    assert "at most 50 frames per second" in caplog.text
    monkeypatch.setattr("datasets.writers._MAX_GIF_BYTES", 10 * 64 * 128)
    with pytest.raises(InputError, match=r"more than 10 such frames .*write \.mp4"):
        write(tmp_path / "b.gif", coded_clip(range(11)))
    assert [file.name for file in tmp_path.iterdir()] == ["a.gif"]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "frames"])
def test_a_failure_leaves_what_was_there_before_and_nothing_else(name: str, coded_clip: Clip, tmp_path: Path) -> None:
    def fail() -> None:
        with open_writer(tmp_path / name, 25) as writer:
            writer.write(coded_clip(range(30)))
            raise KeyboardInterrupt

    if name != "frames":
        (tmp_path / name).write_text("before")
    before = list(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == before
    assert all(file.read_text() == "before" for file in before)
    write(tmp_path / name, coded_clip(range(3)))
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "frames"])
def test_a_video_without_frames_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one frame"):
        write(tmp_path / name, torch.empty(0, 3, 8, 8, dtype=torch.uint8))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk; short videos meet it only when they are completed."""
    program = """
import resource, signal, sys, torch
from datasets.video_writer import open_writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
for num_frames in (2, 60):
    try:
        with open_writer(sys.argv[1], 25) as writer:
            writer.write(torch.randint(0, 256, (num_frames, 3, 64, 128), dtype=torch.uint8))
    except OSError as error:
        print(error.filename == sys.argv[1], error.errno)
"""
    path = tmp_path / "out" / "a.mp4"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"True {errno.EFBIG}"] * 2
    assert list(path.parent.iterdir()) == []


def test_a_full_disk_leaves_no_pictures(coded_clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Image.Image.save

    def save_few(image: Image.Image, path: Path, **options: Any) -> None:
        if path.name == "000005.png":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        save(image, path, **options)

    monkeypatch.setattr(Image.Image, "save", save_few)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "frames", coded_clip(range(9)))
    assert list(tmp_path.iterdir()) == []


def test_frames_of_one_video_have_one_size(coded_clip: Clip, tmp_path: Path) -> None:
    def write_two_sizes() -> None:
        with open_writer(tmp_path / "a.mp4", 25) as writer:
            writer.write(coded_clip(range(3)))
            writer.write(coded_clip(range(3), 32, 64))

    with pytest.raises(ValueError, match="after frames of"):
        write_two_sizes()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("a.avi", {}, r"videos end in \.mp4"),
        ("a.webm", {}, "h264 does not go into .webm"),
        ("a.mp4", {"codec": "divx"}, "'divx' is none of h264, h265, vp9, h264rgb"),
        ("a.mp4", {"quality": 99}, "give 0"),
        ("a.mp4", {"fps": 0}, "fps"),
        ("a.gif", {"fps": float("nan")}, "fps"),
        ("full", {}, "there already"),
        ("full.mp4", {}, "there already"),
    ],
)
def test_impossible_requests_are_refused_beforehand(
    name: str, options: dict[str, Any], message: str, coded_clip: Clip, tmp_path: Path
) -> None:
    for folder in ("full", "full.mp4"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "keep").write_text("")
    with pytest.raises(InputError, match=message):
        write(tmp_path / name, coded_clip(range(2)), **options)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["full", "full.mp4"]


def test_a_gif_keeps_one_byte_per_pixel(tmp_path: Path, coded_clip: Clip) -> None:
    writer = GifWriter(tmp_path / "a.gif", 25)
    writer.write(coded_clip(range(4)))
    assert [image.mode for image in writer._frames] == ["P"] * 4


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
