from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from datasets import video_file
from datasets.pyav_readers import SeekingReader, SequentialReader
from datasets.sources import Source, VideoFile
from datasets.video_readers import DecordReader, Reader
from errors import InputError

X265 = "log-level=none"

# File name, encoding, reader it must get. Frames are 128 wide: decord misreads rows of narrow ones.
FILES: dict[str, tuple[dict[str, Any], str]] = {
    "gop12.mp4": ({"options": {"g": "12", "bf": "0"}}, "decord"),
    "gop250.mp4": ({"options": {"g": "250"}}, "decord"),
    "bframes.mp4": ({"options": {"g": "24", "bf": "3"}}, "decord"),
    "bframes.mkv": ({"options": {"g": "24", "bf": "3"}}, "decord"),
    "odd.mp4": ({"size": (65, 129), "pixels": "yuv444p"}, "decord"),
    "narrow.mp4": ({"size": (48, 72)}, "pyav"),
    "variable.mp4": ({"steps_ms": (40, 100, 60, 20)}, "decord"),
    "lossless.mp4": ({"codec": "libx264rgb", "pixels": "rgb24", "options": {"crf": "0"}}, "decord"),
    "closed.hevc.mp4": ({"codec": "libx265", "options": {"g": "12", "x265-params": X265 + ":open-gop=0"}}, "decord"),
    "vp9.webm": ({"codec": "libvpx-vp9", "options": {"g": "20", "cpu-used": "8", "deadline": "realtime"}}, "decord"),
    "mjpeg.avi": ({"codec": "mjpeg", "pixels": "yuvj420p"}, "decord"),
    "open.mp4": ({"options": {"g": "12", "bf": "3", "x264-params": "open-gop=1:scenecut=0:b-adapt=0"}}, "pyav"),
    "open.mkv": ({"options": {"g": "12", "bf": "3", "x264-params": "open-gop=1:scenecut=0:b-adapt=0"}}, "pyav"),
    "open.hevc.mp4": ({"codec": "libx265", "options": {"g": "12", "x265-params": X265}}, "pyav"),
    "av1.mp4": ({"codec": "libsvtav1", "options": {"g": "20", "preset": "12", "svtav1-params": "log=0"}}, "pyav"),
    "ffv1.mkv": ({"codec": "ffv1"}, "pyav"),
    "mpeg4.avi": ({"codec": "mpeg4", "options": {"g": "12"}}, "pyav"),
    "mpeg4b.avi": ({"codec": "mpeg4", "options": {"g": "12", "bf": "2"}}, "pyav"),
    "mpeg4b.mp4": ({"codec": "mpeg4", "options": {"g": "12", "bf": "2"}}, "pyav"),
    "refresh.mp4": ({"options": {"g": "20", "bf": "0", "x264-params": "intra-refresh=1:scenecut=0"}}, "sequential"),
    "h264.avi": ({"options": {"g": "24", "bf": "0"}}, "sequential"),
    "h264b.avi": ({"options": {"g": "24", "bf": "3"}}, "sequential"),
    "transport.ts": ({"options": {"g": "24", "bf": "3"}}, "sequential"),
    "program.mpg": ({"codec": "mpeg2video", "container": "mpeg", "options": {"g": "12", "bf": "2"}}, "sequential"),
    "bare.h264": ({"container": "h264", "options": {"g": "24"}}, "sequential"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, encode: Callable[..., Path]) -> Callable[[str], Path]:
    """The file of this name, encoded when it is first asked for."""
    folder = tmp_path_factory.mktemp("videos")

    def make(name: str) -> Path:
        path = folder / name
        return path if path.exists() else encode(path, **FILES[name][0])

    return make


@pytest.mark.parametrize("name", FILES)
def test_frames_of_every_kind_of_file_are_those_asked_for(
    name: str, made: Callable[[str], Path], numbers_in: Callable[..., list[int]]
) -> None:
    encoding, reader = FILES[name]
    video = VideoFile(made(name))
    assert isinstance(video, Source)
    assert video.facts.reader == reader
    assert (len(video), video.size) == (100, encoding.get("size", (64, 128)))
    rng = np.random.default_rng(0)
    for _ in range(10):
        times = rng.integers(100, size=3).tolist()
        assert numbers_in(video.read(times)) == times


def open_readers(path: Path, names: tuple[str, ...] = ("decord", "pyav", "sequential")) -> list[Reader]:
    facts = VideoFile(path).facts
    known = {
        "decord": lambda: DecordReader(path, facts),
        "pyav": lambda: SeekingReader(path),
        "sequential": lambda: SequentialReader(path),
    }
    return [known[name]() for name in names]


@pytest.mark.parametrize("name", ["bframes.mp4", "odd.mp4", "vp9.webm", "lossless.mp4", "mjpeg.avi", "variable.mp4"])
def test_readers_agree_to_the_last_bit(name: str, made: Callable[[str], Path]) -> None:
    decord, *others = open_readers(made(name))
    for index in [70, 3, 4, 5, 99, 0]:
        for other in others:
            np.testing.assert_array_equal(other.frame(index), decord.frame(index))


@pytest.mark.parametrize("name", ["open.mp4", "open.hevc.mp4", "mpeg4b.avi", "av1.mp4"])
def test_seeking_equals_decoding_from_the_start(name: str, made: Callable[[str], Path]) -> None:
    """In open groups of pictures a frame before a keyframe refers to frames before that keyframe."""
    seeking, sequential = open_readers(made(name), ("pyav", "sequential"))
    expected = [sequential.frame(index) for index in range(100)]
    for index in np.random.default_rng(1).permutation(100):
        np.testing.assert_array_equal(seeking.frame(int(index)), expected[index])


def test_frames_come_in_the_order_asked_for_with_repeats(
    made: Callable[[str], Path], numbers_in: Callable[..., list[int]]
) -> None:
    video = VideoFile(made("bframes.mp4"))
    assert numbers_in(video.read([7, 50, 7, 2])) == [7, 50, 7, 2]
    assert video.read([]).shape == (0, 3, 64, 128)


@pytest.mark.parametrize("times", [[100], [-1], [0, 5, 1000]])
def test_frames_outside_the_video_are_refused(times: list[int], made: Callable[[str], Path]) -> None:
    with pytest.raises(IndexError, match=r"bframes\.mp4.*0\.\.99"):
        VideoFile(made("bframes.mp4")).read(times)


def test_rates_are_those_of_the_frames(made: Callable[[str], Path]) -> None:
    assert VideoFile(made("bframes.mkv")).fps == 25
    assert VideoFile(made("transport.ts")).fps == 25
    mean_step = np.resize([40, 100, 60, 20], 100)[1:].mean()
    assert VideoFile(made("variable.mp4")).fps == pytest.approx(1000 / mean_step, rel=0.01)


@pytest.mark.parametrize("first, last", [(18, 80), (38, 90)])
def test_frames_that_an_edit_list_hides_do_not_count(
    first: int, last: int, made: Callable[[str], Path], numbers_in: Callable[..., list[int]], tmp_path: Path
) -> None:
    """A cut that copies the stream starts at the keyframe before, and hides what is shown too early."""
    with av.open(str(made("gop250.mp4"))) as whole, av.open(str(tmp_path / "cut.mp4"), "w") as cut:
        stream = whole.streams.video[0]
        copy = cut.add_stream_from_template(stream)
        packets = [packet for packet in whole.demux(stream) if packet.size]
        step = 512  # ticks of this file per frame
        keyframe = max(i for i, packet in enumerate(packets) if packet.is_keyframe and packet.pts <= first * step)
        for packet in packets[keyframe:]:
            if packet.pts < last * step:
                packet.pts, packet.dts, packet.stream = packet.pts - first * step, packet.dts - first * step, copy
                cut.mux(packet)

    video = VideoFile(tmp_path / "cut.mp4")
    assert video.facts.reader == "pyav"
    assert (len(video), video.fps) == (last - first, 25)
    for i in [30, 0, len(video) - 1, 3]:
        assert numbers_in(video.read([i, 0])) == [first + i, first]


QUARTER = {90: (0, 1, 0, -1, 0, 0), 180: (-1, 0, 0, 0, -1, 0), 270: (0, -1, 0, 1, 0, 0)}


@pytest.mark.parametrize("degrees", QUARTER)
def test_frames_are_turned_as_metadata_asks(
    degrees: int, made: Callable[[str], Path], numbers_in: Callable[..., list[int]], tmp_path: Path
) -> None:
    content = bytearray(made("gop12.mp4").read_bytes())
    matrix = content.find(b"tkhd") + 44  # version and flags, 4 times, 2 reserved, layer, group, volume, reserved
    a, b, u, c, d, v = QUARTER[degrees]
    one = 1 << 16
    struct.pack_into(">9i", content, matrix, a * one, b * one, u, c * one, d * one, v, 0, 0, 1 << 30)
    (tmp_path / "turned.mp4").write_bytes(content)

    video = VideoFile(tmp_path / "turned.mp4")
    assert video.size == ((64, 128) if degrees == 180 else (128, 64))
    upright = video.read([77, 5]).rot90(degrees // 90, (2, 3))  # undoes the turn, which is clockwise
    assert numbers_in(upright) == [77, 5]
    assert upright.equal(VideoFile(made("gop12.mp4")).read([77, 5]))
    sequential = SequentialReader(tmp_path / "turned.mp4").frame(77)
    assert np.array_equal(sequential, video.read([77])[0].permute(1, 2, 0))


def test_a_source_travels_to_another_process_without_its_decoder(
    made: Callable[[str], Path], numbers_in: Callable[..., list[int]]
) -> None:
    video = VideoFile(made("bframes.mp4"))
    video.read([3])
    copy = pickle.loads(pickle.dumps(video))  # noqa: S301
    assert len(pickle.dumps(video)) < 1000
    assert numbers_in(copy.read([9, 3])) == [9, 3]


def _read_in_child(video: VideoFile, times: list[int], answers: Any) -> None:
    answers.put(video.read(times).numpy())


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("name", ["bframes.mp4", "open.mp4"])
def test_a_source_that_was_read_before_works_in_a_child(
    method: str, name: str, made: Callable[[str], Path], numbers_in: Callable[..., list[int]]
) -> None:
    video = VideoFile(made(name))
    here = video.read([60, 61])
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    children = [context.Process(target=_read_in_child, args=(video, [60, i], answers)) for i in (61, 20)]
    for child in children:
        child.start()
    seen = sorted(numbers_in(torch.from_numpy(answers.get(timeout=60))) for _ in children)
    for child in children:
        child.join(30)
    assert seen == [[60, 20], [60, 61]]
    assert [child.exitcode for child in children] == [0, 0]
    assert video.read([60, 61]).equal(here)


def test_threads_have_readers_of_their_own(made: Callable[[str], Path], numbers_in: Callable[..., list[int]]) -> None:
    """Decord aborts the process when two threads use one reader."""
    video, results = VideoFile(made("bframes.mp4")), {}

    def read(seed: int) -> None:
        times = np.random.default_rng(seed).integers(100, size=40).tolist()
        results[seed] = (times, numbers_in(torch.cat([video.read([time]) for time in times])))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(asked == seen for asked, seen in results.values())


def test_few_readers_stay_open(encode: Callable[..., Path], tmp_path: Path) -> None:
    videos = [VideoFile(encode(tmp_path / f"{i}.mp4", 3)) for i in range(9)]
    for video in videos:
        video.read([1])
    assert len(video_file._open_readers) == 6


def damage(source: Path, target: Path, number: int) -> Path:
    """A copy whose packet ``number`` holds zeros."""
    with av.open(str(source)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][number]
        start, size = packet.pos, packet.size
    content = bytearray(source.read_bytes())
    content[start : start + size] = bytes(size)
    target.write_bytes(content)
    return target


@pytest.mark.parametrize("reader", ["pyav", "sequential"])
def test_a_damaged_frame_is_replaced_by_a_neighbour_and_said(
    reader: str,
    encode: Callable[..., Path],
    numbers_in: Callable[..., list[int]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = encode(tmp_path / "whole.mp4", 20, options={"g": "1", "bf": "0"})  # every frame stands for itself
    video = VideoFile(damage(whole, tmp_path / "damaged.mp4", 11))
    assert len(video) == 20
    video = VideoFile(video.path, replace(video.facts, reader=reader))
    with caplog.at_level(logging.WARNING):
        seen = numbers_in(video.read(range(20)))
    assert len(caplog.records) == 1
    assert "damaged.mp4" in caplog.text
    if reader == "pyav":
        assert seen == [*range(11), 10, *range(12, 20)]
    else:  # counts what decodes: the frames after the gap move up, and the last one is repeated
        assert seen == [*range(11), *range(12, 20), 19]


def test_a_file_on_which_decord_fails_is_read_by_pyav(
    encode: Callable[..., Path],
    numbers_in: Callable[..., list[int]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = encode(tmp_path / "narrow.mp4", 10, size=(48, 72))
    facts = replace(VideoFile(path).facts, reader="decord")
    assert numbers_in(VideoFile(path, facts).read([7, 2])) == [7, 2]
    assert "PyAV takes over" in caplog.text
    wrong_length = replace(facts, num_frames=9)
    assert numbers_in(VideoFile(path, wrong_length).read([7, 2])) == [7, 2]
    assert "it counts 10 frames instead of 9" in caplog.text
    path = encode(tmp_path / "av1.mp4", 10, **FILES["av1.mp4"][0])
    assert numbers_in(VideoFile(path, replace(VideoFile(path).facts, reader="decord")).read([7, 2])) == [7, 2]


def test_without_decord_pyav_reads_and_the_log_says_so_once(made: Callable[[str], Path], tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['decord'] = None\n"
        "import importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'decord' else find(name, *rest)\n"
        "from datasets.sources import VideoFile\n"
        "for name in sys.argv[1:]: print(VideoFile(name).facts.reader, VideoFile(name).read([5]).shape)\n"
    )
    paths = [str(made(name)) for name in ("bframes.mp4", "gop12.mp4")]
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True)
    assert done.stdout.count("pyav torch.Size([1, 3, 64, 128])") == 2
    assert done.stderr.count("decord is not installed") == 1


BROKEN = {
    "missing.mp4": (None, "missing"),
    "empty.mp4": (lambda whole: b"", "empty: the file has 0 bytes"),
    "text.mp4": (lambda whole: b"no video " * 100, "cannot be opened"),
    "playlist.mp4": (lambda whole: b"#EXTM3U\n#EXTINF:10,\n/etc/passwd\n#EXT-X-ENDLIST\n", "cannot be opened"),
    "head.mp4": (lambda whole: whole[: len(whole) // 2], "cannot be opened"),  # its index was at the end
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_video_is_refused_with_the_reason(name: str, made: Callable[[str], Path], tmp_path: Path) -> None:
    content, reason = BROKEN[name]
    if content is not None:
        (tmp_path / name).write_bytes(content(made("bframes.mp4").read_bytes()))
    with pytest.raises(InputError, match=f"{name}: {reason}"):
        len(VideoFile(tmp_path / name))


@pytest.mark.parametrize("name", ["bframes.mkv", "vp9.webm", "mpeg4.avi", "mjpeg.avi"])
def test_a_truncated_file_is_refused(name: str, made: Callable[[str], Path], tmp_path: Path) -> None:
    whole = made(name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) * 7 // 10])
    with pytest.raises(InputError, match="truncated: "):
        VideoFile(tmp_path / name).read([0])


def test_a_truncated_mp4_with_its_index_in_front_is_refused(encode: Callable[..., Path], tmp_path: Path) -> None:
    whole = encode(tmp_path / "whole.mp4")
    with av.open(str(whole)) as source, av.open(str(tmp_path / "a.mp4"), "w", options={"movflags": "faststart"}) as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    content = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(content[: len(content) * 4 // 5])
    with pytest.raises(InputError, match=r"truncated: \d+ of 100 frames"):
        len(VideoFile(tmp_path / "a.mp4"))


def test_a_file_that_does_not_decode_is_refused(encode: Callable[..., Path], tmp_path: Path) -> None:
    path = encode(tmp_path / "a.avi", 6, codec="mjpeg", pixels="yuvj420p")
    damage(path, tmp_path / "b.avi", 5)
    with pytest.raises(InputError, match=r"b\.avi: undecodable: no frame near its end"):
        len(VideoFile(tmp_path / "b.avi"))
    for number in range(6):
        damage(path, path, number)
    with pytest.raises(InputError, match=r"a\.avi: undecodable: no frame at its start"):
        len(VideoFile(path))


def test_frames_too_large_for_any_memory_are_refused(
    made: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.video_probe._MAX_PIXELS", 64 * 128 - 1)
    with pytest.raises(InputError, match="too large: frames of 64x128"):
        len(VideoFile(made("bframes.mp4")))


def test_a_matroska_file_without_stated_length_is_checked_by_its_container(
    made: Callable[[str], Path], tmp_path: Path
) -> None:
    content = made("bframes.mkv").read_bytes().replace(b"DURATION", b"COMMENTS")
    (tmp_path / "whole.mkv").write_bytes(content)
    assert len(VideoFile(tmp_path / "whole.mkv")) == 100
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) * 7 // 10])
    with pytest.raises(InputError, match=r"truncated: \d\.\d of 4\.0 seconds"):
        len(VideoFile(tmp_path / "cut.mkv"))


def test_a_file_that_vanishes_is_one_clear_error(encode: Callable[..., Path], tmp_path: Path) -> None:
    video = VideoFile(encode(tmp_path / "a.mp4", 5))
    assert len(video) == 5
    os.remove(tmp_path / "a.mp4")
    with pytest.raises(InputError, match=r"a\.mp4: missing"):
        video.read([0])
