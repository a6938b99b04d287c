from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from datasets import animations
from datasets.animations import GifWriter, WebpWriter
from datasets.sources import VideoFile
from errors import InputError
from tests.datasets.written import psnr, read, shown, write

Clip = Callable[..., torch.Tensor]


def smooth(num_frames: int = 5) -> torch.Tensor:
    """Slopes of all colours, that move."""
    y, x, t = torch.arange(64)[:, None], torch.arange(96), torch.arange(num_frames)[:, None, None]
    return torch.stack(torch.broadcast_tensors(2 * x + t, 3 * y + t, (x + y + 20 * t) % 256), dim=1).byte()


def test_a_webp_without_loss_is_exact(tmp_path: Path) -> None:
    noise = torch.randint(0, 256, (9, 3, 17, 31), dtype=torch.uint8)
    assert read(write(tmp_path / "a.webp", noise, crf=0)).equal(noise)


def test_a_webp_is_as_good_as_asked_for(tmp_path: Path) -> None:
    clip = smooth()
    quality = [psnr(read(write(tmp_path / f"{crf}.webp", clip, crf=crf)), clip) for crf in (1, 10, 80)]
    assert quality[0] > quality[1] > quality[2] > 20
    assert quality[1] > 33
    sizes = [(tmp_path / f"{crf}.webp").stat().st_size for crf in (1, 10, 80)]
    assert sizes[0] > sizes[1] > sizes[2]
    assert write(tmp_path / "usual.webp", clip).read_bytes() == (tmp_path / "10.webp").read_bytes()


@pytest.mark.parametrize("num_frames", [1, 2, 40])
def test_frames_of_a_gif_are_read_back(
    num_frames: int, coded_clip: Clip, numbers_in: Callable[..., list[int]], tmp_path: Path
) -> None:
    clip = coded_clip(range(num_frames))
    video = VideoFile(write(tmp_path / "a.gif", clip))
    assert (len(video), video.size) == (num_frames, (64, 128))
    assert numbers_in(read(tmp_path / "a.gif")) == list(range(num_frames))
    pillow = torch.stack([frame for frame, _ in shown(tmp_path / "a.gif")])
    assert psnr(pillow, clip) > 40  # hardly more colours than the palette holds


def test_a_gif_has_a_palette_for_each_frame(tmp_path: Path) -> None:
    clip = smooth()
    assert psnr(torch.stack([frame for frame, _ in shown(write(tmp_path / "a.gif", clip))]), clip) > 33


def test_some_pixels_make_a_palette_almost_as_good_as_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = smooth(1).repeat_interleave(2, dim=2)
    quality = []
    for pixels in (clip[0, 0].numel() // 9, 2**30):
        monkeypatch.setattr(animations, "_PALETTE_PIXELS", pixels)
        ((frame, _),) = shown(write(tmp_path / "a.gif", clip))
        quality.append(psnr(frame, clip[0]))
    assert quality[1] > quality[0] > quality[1] - 1


@pytest.mark.parametrize("name, unit", [("a.gif", 10), ("a.webp", 1)])
def test_an_animation_lasts_as_long_as_the_video(name: str, unit: int, coded_clip: Clip, tmp_path: Path) -> None:
    durations = [duration for _, duration in shown(write(tmp_path / name, coded_clip(range(31)), fps=30))]
    assert set(durations) == ({30, 40} if unit == 10 else {33, 34})  # whole units are all there is
    assert abs(sum(durations) - 1000 * 31 / 30) <= unit / 2


@pytest.mark.parametrize("name, most", [("a.gif", 50), ("a.webp", 90.9091)])
def test_rates_that_viewers_do_not_obey_are_said(
    name: str, most: float, coded_clip: Clip, tmp_path: Path, caplog: Any
) -> None:
    write(tmp_path / name, coded_clip(range(3)), fps=most - 1)
    assert not caplog.records
    durations = [duration for _, duration in shown(write(tmp_path / name, coded_clip(range(3)), fps=120))]
    assert f"{most} frames per second at most, not 120" in caplog.text
    assert sum(durations) == pytest.approx(3000 / most, abs=1)


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_an_animation_repeats_for_ever(name: str, coded_clip: Clip, tmp_path: Path) -> None:
    with Image.open(write(tmp_path / name, coded_clip(range(3)))) as image:
        assert image.info["loop"] == 0
        assert (image.n_frames, image.size) == (3, (128, 64))


def test_equal_frames_stay_frames_of_their_own(coded_clip: Clip, tmp_path: Path) -> None:
    for name in ("a.gif", "a.webp"):
        assert len(list(shown(write(tmp_path / name, coded_clip([3, 3, 3, 3]))))) == 4


@pytest.mark.parametrize("kind", [GifWriter, WebpWriter])
def test_memory_does_not_grow_with_the_number_of_frames(kind: type, tmp_path: Path) -> None:
    frames = torch.randint(0, 256, (20, 3, 32, 32), dtype=torch.uint8)
    writer = kind(tmp_path / "a", Fraction(25), **({"crf": 10} if kind is WebpWriter else {}))
    writer.write(frames)
    tracemalloc.start()
    for _ in range(4):
        writer.write(frames)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    writer.close()
    assert kept < 20_000 < (tmp_path / "a").stat().st_size / 4


@pytest.mark.parametrize("name, side", [("a.webp", 16384), ("a.gif", 65536)])
def test_a_size_that_the_format_cannot_have_is_one_clear_line(name: str, side: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"frames of 1x{side} do not fit, {side - 1} pixels a side do"):
        write(tmp_path / name, torch.zeros(1, 3, 1, side, dtype=torch.uint8))
    assert list(tmp_path.iterdir()) == []


def test_a_webp_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = torch.randint(0, 256, (9, 3, 16, 16), dtype=torch.uint8)
    size = write(tmp_path / "a.webp", noise).stat().st_size
    monkeypatch.setattr(animations, "_MAX_RIFF_BYTES", size)
    assert read(write(tmp_path / "b.webp", noise)).shape == noise.shape
    monkeypatch.setattr(animations, "_MAX_RIFF_BYTES", size - 2)
    with pytest.raises(InputError, match="4 GiB at most, 8 of these frames"):
        write(tmp_path / "c.webp", noise)
    assert not (tmp_path / "c.webp").exists()
