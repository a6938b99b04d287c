"""The two sides of a comparison."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.datamodule import SyntheticVideos, VideoFolder
from datasets.frame_sampling import RandomSpans
from errors import InputError
from stylegan_v.metrics.choices import ClipChoice
from stylegan_v.metrics.clip_choice import ClipAddress, as_real
from stylegan_v.metrics.jpeg import through_jpeg
from stylegan_v.metrics.protocols import read_protocol
from stylegan_v.metrics.sides import FilmedSide, GeneratedSide, RealSide
from tests.stylegan_v.metrics.coded_videos import SIZE, video_and_times, write_videos, zipped
from tests.stylegan_v.tiny_gan import data, generator


@pytest.fixture(autouse=True)
def _caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))


def address(video: int, start: int, num: int, stride: int = 1) -> ClipAddress:
    return ClipAddress(video, start, ClipChoice(num, stride))


# Videos in files.


@pytest.mark.parametrize("packed", [False, True])
def test_videos_and_frames_are_in_natural_order(tmp_path: Path, packed: bool) -> None:
    """Folders v1 ... v12 of frames 1.png ... 12.png: as text, v10 and 10.png come second."""
    root = write_videos(tmp_path / "videos", [12] * 12)
    real = RealSide.open(zipped(root) if packed else root)
    clips = real.read([address(video, 0, 12) for video in range(12)], SIZE)
    assert video_and_times(clips) == [(video, list(range(12))) for video in range(12)]
    assert video_and_times(real.read([address(11, 1, 3, 4)], SIZE)) == [(11, [1, 5, 9])]


def test_frames_of_other_sizes_are_brought_to_that_of_the_fakes(tmp_path: Path) -> None:
    real = RealSide.open(write_videos(tmp_path / "videos", [4, 4], size=(40, 24)))
    clips = real.read([address(0, 0, 4), address(1, 0, 4)], SIZE)
    assert clips.shape == (2, 4, 3, 16, 16) and video_and_times(clips) == [(0, [0, 1, 2, 3]), (1, [0, 1, 2, 3])]
    assert real.size == (40, 24)


def test_videos_of_several_sizes_make_one_batch(tmp_path: Path) -> None:
    write_videos(tmp_path / "videos", [3], size=(16, 16))
    write_videos(tmp_path / "videos" / "more", [3], first=1, size=(20, 30))
    clips = RealSide.open(tmp_path / "videos").read([address(0, 0, 3), address(1, 0, 3)], SIZE)
    assert sorted(video for video, _ in video_and_times(clips)) == [0, 1]


def test_runs_of_several_lengths_are_their_frames(tmp_path: Path) -> None:
    real = RealSide.open(write_videos(tmp_path / "videos", [4, 3]))
    clips = real.read([address(0, 0, 4), address(1, 0, 3)], SIZE)
    assert clips.shape == (1, 7, 3, 16, 16)
    assert clips[0, :, [0, 2], 0, 0].tolist() == [[0, 0], [0, 1], [0, 2], [0, 3], [1, 0], [1, 1], [1, 2]]


def test_one_thread_reads(tmp_path: Path) -> None:
    """A decoder must not be used by two; whoever asks, however often."""
    real = RealSide.open(write_videos(tmp_path / "videos", [4] * 3))
    threads = set()
    source_of = real._source

    def noted(video: int):  # noqa: ANN202
        threads.add(threading.get_ident())
        return source_of(video)

    real._source = noted
    asked = [real.fetch([address(video, 0, 4)], SIZE) for video in (0, 1, 2)]
    callers = [threading.Thread(target=real.read, args=([address(video, 0, 2)], SIZE)) for video in (0, 1)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert [video_and_times(each.result())[0][0] for each in asked] == [0, 1, 2]
    assert len(threads) == 1 and threading.get_ident() not in threads


def test_few_videos_stay_open(tmp_path: Path) -> None:
    real = RealSide.open(write_videos(tmp_path / "videos", [2] * 12))
    real.read([address(video, 0, 2) for video in range(12)], SIZE)
    assert list(real._open) == list(range(4, 12))


def test_halves_part_the_videos(tmp_path: Path) -> None:
    root = write_videos(tmp_path / "videos", [3] * 7)
    sides = {part: RealSide.open(root, part) for part in ("all", "validation", "test")}

    def videos(side: RealSide) -> list[int]:
        clips = side.read([address(video, 0, 3) for video in range(len(side.videos.lengths))], SIZE)
        return [video for video, _ in video_and_times(clips)]

    assert videos(sides["all"]) == list(range(7))
    assert sorted(videos(sides["validation"]) + videos(sides["test"])) == list(range(7))
    assert abs(len(videos(sides["validation"])) - len(videos(sides["test"]))) == 1
    assert len({side.manifest for side in sides.values()}) == 3
    assert sides["test"].part == "test" and sides["test"].videos.labels.shape == (3, 0)


def test_a_half_is_of_the_name_alone(tmp_path: Path) -> None:
    """It stays the same when the folder lies elsewhere, packed or not."""
    root = write_videos(tmp_path / "videos", [3] * 6)
    moved = write_videos(tmp_path / "elsewhere" / "others", [3] * 6)
    lengths = [RealSide.open(path, "test").videos.indices.tolist() for path in (root, moved, zipped(root))]
    assert lengths[0] == lengths[1] == lengths[2]


def test_single_video_has_no_halves(tmp_path: Path) -> None:
    root = write_videos(tmp_path / "videos", [3])
    assert len(RealSide.open(root, "validation").videos.lengths) == 1
    with pytest.raises(InputError, match="1 videos have no test half"):
        RealSide.open(root, "test")


@pytest.mark.parametrize("side", [RealSide, FilmedSide])
def test_what_holds_no_videos_is_refused_in_a_line(tmp_path: Path, side: type[RealSide | FilmedSide]) -> None:
    with pytest.raises(InputError, match="there is nothing"):
        side.open(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        side.open(tmp_path / "empty")
    assert "empty" in str(caught.value) and "\n" not in str(caught.value)


def test_hash_tells_every_change_of_the_data(tmp_path: Path) -> None:
    root = write_videos(tmp_path / "videos", [3] * 4)
    hashes = [RealSide.open(root).manifest, RealSide.open(root).manifest]
    assert hashes[0] == hashes[1]
    write_videos(root / "more", [3])
    hashes.append(RealSide.open(root).manifest)
    frame = np.full((16, 16, 3), 77, np.uint8)
    Image.fromarray(frame).save(root / "v2" / "1.png", compress_level=0)
    hashes.append(RealSide.open(root).manifest)
    (root / "v2" / "3.png").unlink()
    hashes.append(RealSide.open(root).manifest)
    assert len(set(hashes)) == 4


# Data of a run.


def test_videos_of_a_run_are_those_it_trains_on(tmp_path: Path) -> None:
    root = write_videos(tmp_path / "videos", [20] * 6)
    folder = VideoFolder(root, 16, RandomSpans(num_frames=3))
    folder.setup("fit")
    real = RealSide.of_data(folder)
    assert (
        len(real.videos.lengths) == 6 and real.name == str(root) and real.manifest == RealSide.of_data(folder).manifest
    )
    assert len(RealSide.of_data(folder, "validation").videos.lengths) == 3


def test_rendered_videos_are_ones_that_training_does_not_see() -> None:
    videos: SyntheticVideos = data(labelled=True)
    videos.setup("fit")
    sides = [RealSide.of_data(videos, part) for part in ("all", "validation", "test")]
    seeds = [range(side.videos.first_seed, side.videos.first_seed + len(side.videos.lengths)) for side in sides]
    seeds.append(range(videos.first_seed, videos.first_seed + videos.num_videos))
    assert not any(set(a) & set(b) for n, a in enumerate(seeds) for b in seeds[:n])
    assert len({side.manifest for side in sides}) == 3
    assert all(side.videos.labels.shape[1] == videos.c_dim > 0 for side in sides)


# Generated videos.


@pytest.fixture
def real(tmp_path: Path) -> RealSide:
    return RealSide.open(write_videos(tmp_path / "videos", [40] * 4))


@pytest.mark.parametrize("c_dim", [0, 2])
@pytest.mark.parametrize("name", ["styleganv_fvd2048_16f", "fvd_16f", "fid"])
def test_a_video_is_the_same_in_any_company(real: RealSide, name: str, c_dim: int) -> None:
    fake, protocol = GeneratedSide(generator(c_dim), real), read_protocol(name)
    together = fake.clips(protocol, [3, 0, 5])
    alone = torch.cat([fake.clips(protocol, [number]) for number in (3, 0, 5)])
    assert together.dtype == torch.uint8 and together.shape == (3, protocol.clip.num_frames, 3, 16, 16)
    assert (together.int() - alone.int()).abs().max() <= 1


def test_single_frames_are_those_of_their_videos(real: RealSide) -> None:
    """At once for many videos, whose times differ, as in clips that begin at the same times."""
    fake, protocol = GeneratedSide(generator(), real), read_protocol("fid")
    numbers = list(range(70))  # more than the network works on at once
    starts = as_real(real.videos.lengths, protocol.clip, numbers, protocol.fake.max_start, protocol.seed)
    assert len(set(starts)) > 20
    frames = fake.clips(protocol, numbers)
    for number in (0, 1, 66, 69):
        whole = fake.clips(protocol.changed(clip__num_frames=8), [number], start=starts[number])
        assert (frames[number, 0].int() - whole[0, 0].int()).abs().max() <= 1


def test_late_start_is_that_of_all(real: RealSide) -> None:
    fake, protocol = GeneratedSide(generator(), real), read_protocol("fvd_16f")
    whole = fake.clips(protocol.changed(clip__num_frames=36), [0, 1], start=0)
    assert (fake.clips(protocol, [0, 1], start=20).int() - whole[:, 20:].int()).abs().max() <= 1


def test_truncation_brings_videos_together(real: RealSide) -> None:
    fake, protocol = GeneratedSide(generator(), real), read_protocol("styleganv_fvd2048_16f")
    whole = fake.clips(protocol, range(6)).float()
    truncated = fake.clips(protocol.changed(fake__truncation_psi=0.0), range(6)).float()
    assert truncated[:, :1].var(dim=0).mean() < 0.2 * whole[:, :1].var(dim=0).mean()


def test_seed_decides_the_videos(real: RealSide) -> None:
    fake, protocol = GeneratedSide(generator(), real), read_protocol("styleganv_fvd2048_16f")
    assert not torch.equal(fake.clips(protocol, [0]), fake.clips(protocol.changed(seed=1), [0]))


def test_no_global_random_number_is_drawn(real: RealSide) -> None:
    """Scores are computed beside training, which must not notice."""
    fake, protocol = GeneratedSide(generator(c_dim=2), real), read_protocol("fvd_16f")
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    fake.clips(protocol, [0, 1])
    real.read([address(0, 0, 3)], SIZE)
    assert torch.equal(torch.get_rng_state(), states[0]) and np.array_equal(np.random.get_state()[1], states[1])


def test_frames_that_went_through_jpeg(real: RealSide) -> None:
    fake, protocol = GeneratedSide(generator(), real), read_protocol("styleganv_fvd2048_16f")
    clips = fake.clips(protocol, [0, 1])
    stored = fake.clips(protocol.changed(fake__jpeg_quality=50), [0, 1])
    assert torch.equal(stored, through_jpeg(clips, 50)) and not torch.equal(stored, clips)


def test_labels_of_other_data_are_not_taken(real: RealSide) -> None:
    """Without labels of its width, a generator draws classes; see `rendering.draw_latents`."""
    assert GeneratedSide(generator(c_dim=2), real).labels is None
    assert GeneratedSide(generator(), real).labels.shape == (4, 0)
