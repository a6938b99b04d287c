from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from datasets import encoded_writer
from datasets.encoded_writer import CODECS
from datasets.pyav_readers import SeekingReader
from datasets.sources import VideoFile
from datasets.video_facts import decord_is_there
from errors import InputError
from tests.datasets.written import psnr, read, write

Clip = Callable[..., torch.Tensor]


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
    ],
)
def test_every_frame_is_read_back_as_it_was_written(
    name: str, codec: str, coded_clip: Clip, numbers_in: Callable[..., list[int]], tmp_path: Path
) -> None:
    clip = coded_clip(range(60))
    video = VideoFile(write(tmp_path / name, clip, codec=codec))
    assert (len(video), video.size, video.fps) == (60, (64, 128), 25)
    frames = video.read(range(60))
    assert numbers_in(frames) == list(range(60))
    assert frames.equal(clip) if codec == "h264rgb" else psnr(frames, clip) > 33  # colour at half resolution
    if decord_is_there():
        assert video.facts.reader == "decord"  # closed groups of pictures, no edit list


@pytest.mark.parametrize("name, codec", [("a.mp4", "h264"), ("a.mov", "h264"), ("a.mkv", "h264"), ("a.webm", "vp9")])
def test_each_container_has_its_usual_codec_and_pixels(name: str, codec: str, coded_clip: Clip, tmp_path: Path) -> None:
    with av.open(str(write(tmp_path / name, coded_clip(range(3))))) as file:
        context = file.streams.video[0].codec_context
        assert (context.codec.canonical_name, context.pix_fmt) == (codec, "yuv420p")


def test_colours_survive(tmp_path: Path) -> None:
    """The colour matrix is said in the file, and both readers follow it."""
    colours = torch.tensor([[230, 20, 30], [20, 200, 40], [10, 30, 220], [250, 250, 250], [128, 128, 128], [0, 0, 0]])
    clip = colours.to(torch.uint8)[:, :, None, None].expand(6, 3, 64, 128)
    video = VideoFile(write(tmp_path / "a.mp4", clip))
    seeking = SeekingReader(tmp_path / "a.mp4")
    for i, colour in enumerate(colours):
        assert (video.read([i])[0].float().mean((1, 2)) - colour).abs().max() < 3
        assert np.abs(seeking.frame(i).mean((0, 1)) - colour.numpy()).max() < 3


@pytest.mark.parametrize(
    "fps, rate",
    [
        (24, Fraction(24)),
        (29.97, Fraction(30000, 1001)),
        (Fraction(24000, 1001), Fraction(24000, 1001)),
        (12.5, Fraction(25, 2)),
        (3.1416, Fraction(3927, 1250)),
        (0.01, Fraction(1, 100)),
        (1000, Fraction(1000)),
    ],
)
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_the_rate_is_exact(name: str, fps: float, rate: Fraction, coded_clip: Clip, tmp_path: Path) -> None:
    with av.open(str(write(tmp_path / name, coded_clip(range(4), 16, 32), fps))) as file:
        stream = file.streams.video[0]
        assert stream.average_rate == rate
        unit = Fraction(stream.time_base)
        times = [frame.pts * unit for frame in file.decode(stream)]
    rounding = Fraction(1, 2000) if name in ("a.mkv", "a.webm") else 0  # their times are whole milliseconds
    assert [abs(time - i / rate) <= rounding for i, time in enumerate(times)] == [True] * 4


def test_odd_sides_are_padded_by_repeating_the_edge(
    coded_clip: Clip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = coded_clip(range(3), 65, 129)
    with caplog.at_level("INFO"):
        frames = read(write(tmp_path / "a.mp4", clip, crf=1))
    assert frames.shape == (3, 3, 66, 130)
    assert (frames[:, :, :65, :129].float() - clip).abs().mean() < 3
    assert (frames[:, :, 65].float() - frames[:, :, 64].float()).abs().mean() < 3
    assert [record.message for record in caplog.records if "padded" in record.message] == [
        "frames of 65x129 are padded to even sides by repeating their edge"
    ]
    assert read(write(tmp_path / "b.mp4", clip, codec="h264rgb")).equal(clip)


@pytest.mark.parametrize("name, worst", [("a.mp4", 51), ("a.webm", 63)])
def test_a_larger_rate_factor_makes_smaller_files(name: str, worst: int, tmp_path: Path) -> None:
    noise = torch.randint(0, 256, (5, 3, 64, 128), dtype=torch.uint8)
    sizes = [write(tmp_path / f"{crf}{name}", noise, crf=crf).stat().st_size for crf in (0, 24, worst)]
    assert sizes[0] > 1.5 * sizes[1] > 3 * sizes[2]
    usual = write(tmp_path / name, noise).read_bytes()
    assert usual == write(tmp_path / f"b{name}", noise, crf=CODECS["vp9" if worst == 63 else "h264"].crf).read_bytes()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no choice of processors on this system")
@pytest.mark.slow
def test_the_number_of_processors_changes_no_byte(tmp_path: Path) -> None:
    program = """
import os, sys, torch
from datasets.video_writer import open_writer
cores = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, cores if sys.argv[1] == "all" else cores[:1])
y, x = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
waves = [[torch.sin(x / 17 + t / 5), torch.cos(y / 23 - t / 7), torch.cos(x * y / 3000 + t / 4)] for t in range(40)]
noise = 8 * torch.randn(40, 3, 256, 256, generator=torch.Generator().manual_seed(1))
clip = (torch.stack([torch.stack(wave) for wave in waves]) * 100 + 128 + noise).clamp(0, 255).byte()
for name, codec in (("a.mp4", "h264"), ("b.mp4", "h265"), ("c.webm", "vp9"), ("d.mkv", "h264"), ("e.mp4", "h264rgb")):
    with open_writer(f"{sys.argv[2]}/{sys.argv[1]}/{name}", 25, codec=codec) as writer:
        writer.write(clip)
"""
    for cores in ("one", "all"):
        subprocess.run([sys.executable, "-c", program, cores, str(tmp_path)], check=True)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "all" / file.name).read_bytes(), file.name
    assert len(list((tmp_path / "all").iterdir())) == 5


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_no_trace_of_when_and_by_what_it_was_written(name: str, coded_clip: Clip, tmp_path: Path) -> None:
    with av.open(str(write(tmp_path / name, coded_clip(range(3))))) as file:
        tags = {**file.metadata, **file.streams.video[0].metadata}
    assert not [tag for tag in tags if "time" in tag.lower() or "date" in tag.lower()]
    assert tags.get("encoder", "Lavf") == "Lavf"  # without the version


def test_a_size_that_a_codec_cannot_have_is_one_clear_line(tmp_path: Path) -> None:
    for codec, size in (("h265", (8, 8)), ("h264", (2, 16386)), ("vp9", (2, 65538))):
        with pytest.raises(
            InputError, match=rf"frames of {size[0]}x{size[1]} cannot be encoded by .*choose another size"
        ):
            write(tmp_path / "a.mp4", torch.zeros(1, 3, *size, dtype=torch.uint8), codec=codec)
    assert list(tmp_path.iterdir()) == []


def test_a_single_pixel_can_be_encoded(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.mp4", torch.full((2, 3, 1, 1), 100, dtype=torch.uint8))).shape == (2, 3, 2, 2)


def test_a_build_without_the_encoder_is_one_clear_line(
    coded_clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(encoded_writer.CODECS, "vp9", replace(CODECS["vp9"], encoder="libmissing"))
    with pytest.raises(InputError, match="lacks libmissing, which vp9 needs; choose another"):
        write(tmp_path / "a.webm", coded_clip(range(2)))
