from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from datasets.settings import read_settings
from datasets.video_file import VideoFile
from errors import InputError
from fields.upscaling import videos
from fields.upscaling.videos import choose_quality, read_header, write_video
from tests.fields.upscaling import sounding_video

SETTINGS = {"command": "upscale", "size": [32, 40]}


def doubled(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(2, 0).repeat(2, 1)


def converted(source: Path, path: Path, crf: int | None = None, square: bool = False) -> Path:
    header = read_header(source)
    size = (2 * header.size[0], 2 * header.size[1])
    write_video(header, path, size, doubled, crf, SETTINGS, square)
    return path


@pytest.mark.parametrize("fps", [10, Fraction(30000, 1001)])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_frames_rate_and_sound_are_those_of_the_source(tmp_path: Path, suffix: str, fps: Fraction | int) -> None:
    source = sounding_video.make(tmp_path / f"a{suffix}", fps=fps)
    out = converted(source, tmp_path / f"b{suffix}")
    video = VideoFile(out)
    assert len(video) == 6 and video.size == (32, 40) and video.fps == pytest.approx(float(fps), rel=2e-3)
    assert sounding_video.moments_of(out) == pytest.approx(sounding_video.moments_of(source), abs=1e-3)
    assert sounding_video.sound_of(out) == sounding_video.sound_of(source) != []
    difference = video.read(range(6)).permute(0, 2, 3, 1).numpy().astype(int)
    difference -= doubled(sounding_video.frames(6, (16, 20)).transpose(1, 2, 0, 3)).transpose(2, 0, 1, 3)
    assert np.abs(difference).mean() < 6
    with av.open(str(out)) as container:
        assert container.metadata["title"] == "a title"


def test_frames_at_uneven_moments_keep_them(tmp_path: Path) -> None:
    source = sounding_video.make(tmp_path / "a.mp4", times=[0, 1, 5, 6, 7, 12])
    out = converted(source, tmp_path / "b.mp4")
    moments = sounding_video.moments_of(out)
    assert moments == pytest.approx([0, 0.1, 0.5, 0.6, 0.7, 1.2], abs=1e-3)
    assert sounding_video.sound_of(out) == sounding_video.sound_of(source)


def test_a_silent_video_stays_silent(tmp_path: Path) -> None:
    out = converted(sounding_video.make(tmp_path / "a.mp4", sound=None), tmp_path / "b.webm")
    with av.open(str(out)) as container:
        assert not container.streams.audio and container.streams.video[0].codec_context.name == "vp9"
    assert sounding_video.moments_of(out) == pytest.approx([i / 10 for i in range(6)], abs=1e-3)


def test_a_lower_crf_is_nearer_to_the_frames(tmp_path: Path) -> None:
    source = sounding_video.make(tmp_path / "a.mp4", size=(64, 64))
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3)).astype(np.uint8)
    sizes = []
    for crf in (5, 45):
        header = read_header(source)
        write_video(header, tmp_path / "b.mp4", (128, 128), lambda _: noise, crf, SETTINGS)
        sizes.append((tmp_path / "b.mp4").stat().st_size)
    assert sizes[0] > 3 * sizes[1]


def test_settings_are_in_the_file_and_beside_it(tmp_path: Path) -> None:
    out = converted(sounding_video.make(tmp_path / "a.mp4"), tmp_path / "b.mp4")
    assert read_settings(out) == SETTINGS == json.loads((tmp_path / "b.mp4.json").read_text())


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    source = sounding_video.make(tmp_path / "a.mp4")
    assert converted(source, tmp_path / "b.mkv").read_bytes() == converted(source, tmp_path / "c.mkv").read_bytes()


@pytest.mark.parametrize("square", [False, True])
def test_pixels_keep_their_shape_unless_they_shall_be_square(tmp_path: Path, square: bool) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 16, 20, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(16, 15)
        for pixels in sounding_video.frames(3, (16, 20)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(converted(tmp_path / "a.mp4", tmp_path / "b.mp4", square=square))) as container:
        assert container.streams.video[0].sample_aspect_ratio in ((1, None, 0) if square else (Fraction(16, 15),))


def test_sound_that_does_not_fit_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    header = read_header(sounding_video.make(tmp_path / "a.mp4"))

    def fail(_: np.ndarray) -> np.ndarray:
        raise AssertionError("a frame was computed")

    with pytest.raises(InputError, match=r"the sound \(aac\) does not go into a webm file as it is: give a \.mkv"):
        write_video(header, tmp_path / "b.webm", (32, 40), fail, None, SETTINGS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_video_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    header, seen = read_header(sounding_video.make(tmp_path / "a.mp4")), []

    def fail(pixels: np.ndarray) -> np.ndarray:
        seen.append(1)
        if len(seen) > 3:
            raise error
        return doubled(pixels)

    with pytest.raises(error):
        write_video(header, tmp_path / "b.mp4", (32, 40), fail, None, SETTINGS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each frame is written before the next is decoded.
    order = []
    real = videos._Output.write
    monkeypatch.setattr(videos._Output, "write", lambda *args: (order.append("written"), real(*args)))
    header = read_header(sounding_video.make(tmp_path / "a.mp4", num_frames=30))

    def noted(pixels: np.ndarray) -> np.ndarray:
        order.append("made")
        return doubled(pixels)

    write_video(header, tmp_path / "b.mp4", (32, 40), noted, None, SETTINGS)
    assert order == ["made", "written"] * 30


@pytest.mark.parametrize(
    ("name", "crf", "message"),
    [
        ("a.mp4", 52, "crf: 52 is no constant rate factor of h264: give 0"),
        ("a.webm", 64, r"of vp9: give 0 \(best\) to 63"),
        ("a.mp4", -1, "crf: -1"),
        ("a.avi", None, "videos are written as .mp4"),
        ("a.png", None, "videos are written as .mp4"),
    ],
)
def test_qualities_and_formats_that_are_none(name: str, crf: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_quality(Path(name), crf)


def test_sizes_that_cannot_be_encoded(tmp_path: Path) -> None:
    header = read_header(sounding_video.make(tmp_path / "a.mp4"))
    with pytest.raises(InputError, match="size: frames of 40x100000 cannot be encoded"):
        write_video(header, tmp_path / "b.mp4", (100_000, 40), doubled, None, SETTINGS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]


@pytest.mark.parametrize("share", [0, 0.2, 0.7])
def test_truncated_videos_are_refused(tmp_path: Path, share: float) -> None:
    path = sounding_video.make(tmp_path / "a.mp4", num_frames=30)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"a\.mp4"):
        read_header(path)


def test_a_video_that_breaks_off_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header, real = read_header(sounding_video.make(tmp_path / "a.mp4")), videos._items

    def four(*args: object) -> Iterator[object]:
        frames = 0
        for item in real(*args):
            frames += isinstance(item, av.VideoFrame)
            if frames == 5:
                return
            yield item

    monkeypatch.setattr(videos, "_items", four)
    with pytest.raises(InputError, match=r"a\.mp4: is damaged: 4 of 6 frames can be read"):
        write_video(header, tmp_path / "b.mp4", (32, 40), doubled, None, SETTINGS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]


def test_deeper_colours_are_reduced_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 16, 20, "yuv420p10le"
        for pixels in sounding_video.frames(3, (16, 20)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    assert len(VideoFile(converted(tmp_path / "a.mkv", tmp_path / "b.mkv"))) == 3
    assert "has more than 8 bits per colour" in caplog.text
    caplog.clear()
    converted(sounding_video.make(tmp_path / "c.mp4"), tmp_path / "d.mp4")
    assert "bits" not in caplog.text


def test_videos_on_their_side_are_turned(tmp_path: Path) -> None:
    source = sounding_video.make(tmp_path / "a.mp4", sound=None)
    data = source.read_bytes()
    # The matrix of the track: a rotation by a quarter.
    one, minus = (65536).to_bytes(4, "big"), (-65536).to_bytes(4, "big", signed=True)
    zero = bytes(4)
    straight = one + zero * 3 + one + zero * 3 + (2**30).to_bytes(4, "big")
    turned = zero + one + zero + minus + zero * 4 + (2**30).to_bytes(4, "big")
    start = data.index(straight, data.index(b"tkhd"))
    source.write_bytes(data[:start] + turned + data[start + 36 :])
    header = read_header(source)
    assert header.size == (20, 16)
    out = VideoFile(converted(source, tmp_path / "b.mp4"))
    assert out.size == (40, 32)
    expected = VideoFile(source).read([0])[0].float()
    made = out.read([0])[0].float()[:, ::2, ::2]
    assert (made - expected).abs().mean() < 6
