"""The original's protocols, shown without its weights.

A stub network keeps what it sees: which videos, which frames, in which order, how they are rounded, how many there are.
Numbers are computed again from its answers, straight from the formulas.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from stylegan_v.metrics.evaluation import Options, Result, evaluate
from stylegan_v.metrics.protocols import MetricProtocol, read_protocol
from stylegan_v.metrics.sides import FilmedSide, GeneratedSide, RealSide
from stylegan_v.networks import Generator
from stylegan_v.rendering import draw_latents, render_float, to_uint8
from tests.stylegan_v.metrics.coded_videos import (
    MANY,
    Stub,
    filmed_side,
    real_side,
    video_and_times,
    write_videos,
    zipped,
)
from tests.stylegan_v.tiny_gan import generator

FVD = {  # frames, stride
    "styleganv_fvd2048_16f": (16, 1),
    "styleganv_fvd2048_128f": (128, 1),
    "styleganv_fvd2048_128f_subsample8f": (16, 8),
}
SIBLINGS = {"fvd_16f": (16, 1), "fvd_128f": (128, 1), "kvd_16f": (16, 1)}
LONG = [140, 127, 128, 129, 30, 150, 128, 135, 15, 160, 131, 140]  # of these 9 have 128 frames
NUM_FAKE = 6


@pytest.fixture(scope="module", autouse=True)
def _caches(tmp_path_factory: pytest.TempPathFactory):  # noqa: ANN202
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("caches")))
        yield


@pytest.fixture(scope="module")
def network() -> Generator:
    return generator()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> RealSide:
    return real_side(tmp_path_factory.mktemp("data") / "many", MANY)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> RealSide:
    return real_side(tmp_path_factory.mktemp("data") / "long", LONG)


def small(name: str, **changes: object) -> MetricProtocol:
    """A protocol with one draw of few fakes."""
    return read_protocol(name).changed(**{"fake__num": NUM_FAKE, "num_draws": 1, "fake__late_starts": (), **changes})


def carried_out(
    tmp_path: Path, protocol: MetricProtocol, real: RealSide, fake: GeneratedSide | FilmedSide, stub: Stub
) -> tuple[Result, list[Tensor], list[Tensor]]:
    """The result, and what the stub was shown as reference and as fakes; sanity rows lie in between."""
    result = evaluate(protocol, real, fake, stub, Options(cache_dir=tmp_path))
    shown = [clip.unsqueeze(0) for clips in stub.clips for clip in clips]
    num_frames = protocol.clip.num_frames
    num_clips = -(-result.facts["num_fake"] // (1 if stub.unit == "clip" else num_frames))
    num_real = result.facts["num_real"] if stub.unit == "clip" else 0
    return result, shown[:num_real], shown[len(shown) - num_clips :]


def answers(stub: Stub, clips: list[Tensor]) -> np.ndarray:
    return torch.cat([Stub.features(stub, clip) for clip in clips]).double().numpy()


def frechet(first: np.ndarray, second: np.ndarray, *, unbiased: bool) -> float:
    """Straight from the formula, with the square root of the product of covariances."""
    mean1, mean2 = first.mean(axis=0), second.mean(axis=0)
    cov1, cov2 = (np.cov(x, rowvar=False, bias=not unbiased) for x in (first, second))
    root = scipy.linalg.sqrtm(cov1 @ cov2)
    return float(((mean1 - mean2) ** 2).sum() + np.trace(cov1 + cov2 - 2 * root).real)


def rendered(network: Generator, protocol: MetricProtocol, number: int, start: int) -> Tensor:
    """The clip of one generated video, rounded by hand."""
    times = [float(start + protocol.clip.stride * i) for i in range(protocol.clip.num_frames)]
    latents = draw_latents(network, protocol.seed, [number])
    frames = torch.cat(list(render_float(network, latents, torch.tensor(times, dtype=torch.float64))), dim=1)
    return torch.from_numpy(np.trunc(np.clip(frames.double().numpy() * 127.5 + 128, 0, 255)).astype(np.uint8))


def same_clip(found: Tensor, expected: Tensor) -> bool:
    """Equal but for float32 convolutions of other groups of frames, which may round a byte the other way."""
    difference = (found.int() - expected.int()).abs()
    return (
        found.shape == expected.shape and int(difference.max()) <= 1 and float((difference > 0).float().mean()) < 0.01
    )


# FVD: spec 7.1.


@pytest.mark.parametrize(("name", "frames", "stride"), [(name, *clip) for name, clip in FVD.items()])
def test_settings_of_fvd(name: str, frames: int, stride: int) -> None:
    protocol = read_protocol(name)
    assert (protocol.clip.num_frames, protocol.clip.stride) == (frames, stride)
    assert protocol.detector == "i3d" and protocol.measure.covariance == "biased"
    assert protocol.real.max_num == protocol.fake.num == 2048
    assert (protocol.real.order, protocol.real.starts, protocol.real.mirror) == ("index", "random", False)
    assert (protocol.fake.starts, protocol.fake.truncation_psi, protocol.equal_num) == ("zero", 1.0, False)
    assert (protocol.filmed.starts, protocol.filmed.order) == ("zero", "index")


@pytest.mark.parametrize(("name", "frames", "stride"), [(name, *clip) for name, clip in FVD.items()])
def test_one_clip_of_each_long_enough_video_in_order(
    tmp_path: Path, network: Generator, many: RealSide, long: RealSide, name: str, frames: int, stride: int
) -> None:
    real, lengths = (many, MANY) if frames * stride == 16 else (long, LONG)
    stub, protocol = Stub(), small(name)
    result, shown, _ = carried_out(tmp_path, protocol, real, GeneratedSide(network, real), stub)

    usable = [number for number, length in enumerate(lengths) if length >= frames * stride]
    said = [video_and_times(clip)[0] for clip in shown]
    assert [video for video, _ in said] == usable
    for video, times in said:
        assert times == list(range(times[0], times[0] + frames * stride, stride))
        assert times[0] >= 0 and times[-1] < lengths[video]
    assert len({times[0] for _, times in said}) > 1
    assert result.facts["num_real"] == len(usable) == len(shown)
    assert result.facts["skipped"] == {"real": len(lengths) - len(usable)}


def test_no_more_than_the_first_videos_are_taken(tmp_path: Path, network: Generator, many: RealSide) -> None:
    stub = Stub()
    protocol = small("styleganv_fvd2048_16f", real__max_num=5)
    result, shown, _ = carried_out(tmp_path, protocol, many, GeneratedSide(network, many), stub)
    assert [video_and_times(clip)[0][0] for clip in shown] == [0, 1, 3, 5, 6] and result.facts["num_real"] == 5


@pytest.mark.parametrize(("name", "frames", "stride"), [(name, *clip) for name, clip in FVD.items()])
def test_fakes_start_at_zero_and_are_rounded_as_the_original_does(
    tmp_path: Path, network: Generator, long: RealSide, name: str, frames: int, stride: int
) -> None:
    protocol = small(name, fake__num=3)
    result, _, fakes = carried_out(tmp_path, protocol, long, GeneratedSide(network, long), Stub())
    assert result.facts["num_fake"] == len(fakes) == 3
    for number, clip in enumerate(fakes):
        assert clip.shape == (1, frames, 3, 16, 16)
        assert same_clip(clip, rendered(network, protocol, number, 0))
    assert not same_clip(fakes[0], rendered(network, protocol, 0, stride))


def test_bytes_are_truncated_and_clipped() -> None:
    """x * 127.5 + 128, clipped to 0..255, the fraction dropped: 0 is 128, and the brightest byte starts below 1."""
    edges = {-2.0: 0, -1.0: 0, -128 / 127.5: 0, -127 / 127.5: 1, -126.75 / 127.5: 1, 0.0: 128, 0.5 / 127.5: 128}
    edges |= {126.99 / 127.5: 254, 127 / 127.5: 255, 1.0: 255, 1.5: 255}
    found = to_uint8(torch.tensor(list(edges)))
    assert dict(zip(edges, found.tolist(), strict=True)) == edges


def test_fakes_are_those_of_the_given_generator_in_every_draw(
    tmp_path: Path, network: Generator, many: RealSide
) -> None:
    """No two draws share a video, and every video has latents of its own."""
    stub, protocol = Stub(), small("styleganv_fvd2048_16f", num_draws=2, fake__num=3)
    evaluate(protocol, many, GeneratedSide(network, many), stub, Options(cache_dir=tmp_path))
    fakes = torch.cat(stub.clips)[-6:]
    assert all(same_clip(fakes[n : n + 1], rendered(network, protocol, n, 0)) for n in range(6))
    assert len({clip.numpy().tobytes() for clip in fakes}) == 6


def test_labels_are_those_of_random_real_videos(tmp_path: Path, many: RealSide) -> None:
    conditional = generator(c_dim=3)
    fake, protocol = GeneratedSide(conditional, many), small("styleganv_fvd2048_16f")
    fake.labels = np.eye(3, dtype=np.float32)[[0] * 6 + [1] * 6]  # nobody has the last class
    clips = fake.clips(protocol, range(24))
    classes = []
    for number in range(24):
        latents = [draw_latents(conditional, 0, [number], c=torch.eye(3)[k : k + 1]) for k in range(3)]
        times = torch.arange(16, dtype=torch.float64)
        of_class = [to_uint8(torch.cat(list(render_float(conditional, each, times)), dim=1)) for each in latents]
        classes.append([same_clip(clips[number : number + 1], clip) for clip in of_class].index(True))
    assert set(classes) == {0, 1} and 6 <= sum(classes) <= 18


@pytest.mark.parametrize("name", FVD)
def test_value_of_fvd(tmp_path: Path, network: Generator, long: RealSide, name: str) -> None:
    stub = Stub(dim=3)
    result, real, fakes = carried_out(tmp_path, small(name), long, GeneratedSide(network, long), stub)
    assert (len(real), len(fakes)) == (11 if name.endswith("16f") else 9, NUM_FAKE)
    expected = frechet(answers(stub, real), answers(stub, fakes), unbiased=False)
    assert result.value == pytest.approx(expected, rel=1e-6)
    assert frechet(answers(stub, real), answers(stub, fakes), unbiased=True) != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("packed", [False, True])
def test_generated_videos_in_files_are_taken_from_their_first_frame(
    tmp_path: Path, many: RealSide, packed: bool
) -> None:
    root = write_videos(tmp_path / "fakes", [18, 17, 14, *[16] * 9], first=100)
    fake = FilmedSide.open(zipped(root) if packed else root)
    stub = Stub(dim=3)
    result, real, fakes = carried_out(tmp_path, small("styleganv_fvd2048_16f", fake__num=2048), many, fake, stub)
    expected = [(video, list(range(16))) for video in (100, 101, *range(103, 112))]
    assert [video_and_times(clip)[0] for clip in fakes] == expected
    assert (result.facts["num_fake"], result.facts["skipped"]) == (11, {"real": 2, "fake": 1})
    assert result.value == pytest.approx(frechet(answers(stub, real), answers(stub, fakes), unbiased=False), rel=1e-6)


# Images: spec 7.2 to 7.4.


def test_settings_of_image_scores() -> None:
    for name in ("styleganv_fid50k_full", "styleganv_kid", "styleganv_is"):
        protocol = read_protocol(name)
        assert (protocol.detector, protocol.real.take, protocol.fake.num) == ("inception", "every_frame", 50000)
        assert (protocol.clip.num_frames, protocol.clip.stride, protocol.fake.starts) == (16, 1, "zero")
    assert read_protocol("styleganv_fid50k_full").real.max_num is None
    assert read_protocol("styleganv_fid50k_full").measure.covariance == "biased"
    kernel = read_protocol("styleganv_kid").measure
    assert (kernel.num_subsets, kernel.subset_size, kernel.scale) == (100, 1000, 1000.0)
    inception = read_protocol("styleganv_is").measure
    assert (inception.num_splits, inception.shuffle_seed) == (10, None)
    inception = read_protocol("styleganv_ucf_is").measure
    assert (inception.num_splits, inception.shuffle_seed, read_protocol("styleganv_ucf_is").fake.num) == (10, 42, 2048)


@pytest.mark.parametrize("num_fake", [32, 40])
def test_fid_takes_every_frame_and_16_consecutive_ones_of_each_fake(
    tmp_path: Path, network: Generator, many: RealSide, num_fake: int
) -> None:
    stub, protocol = Stub("frame", dim=3), small("styleganv_fid50k_full", fake__num=num_fake)
    result = evaluate(protocol, many, GeneratedSide(network, many), stub, Options(cache_dir=tmp_path))
    frames = torch.cat([clips.flatten(0, 1) for clips in stub.clips])
    said = [(int(frame[0, 0, 0]), int(frame[2, 0, 0])) for frame in frames[: sum(MANY)]]
    assert said == [(video, time) for video, length in enumerate(MANY) for time in range(length)]

    num_videos = -(-num_fake // 16)
    fakes = frames[-16 * num_videos :].unflatten(0, (num_videos, 16))
    assert all(same_clip(clip[None], rendered(network, protocol, n, 0)) for n, clip in enumerate(fakes))
    features = np.concatenate([answer.numpy() for answer in stub.answers]).astype(np.float64)
    real, fake = features[: sum(MANY)], features[len(features) - 16 * num_videos :][:num_fake]
    assert (result.facts["num_real"], result.facts["num_fake"]) == (len(real), len(fake)) == (sum(MANY), num_fake)
    assert result.value == pytest.approx(frechet(real, fake, unbiased=False), rel=1e-6)


def kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy with the cubic kernel, pair by pair."""

    def mean(a: np.ndarray, b: np.ndarray, same: bool) -> float:
        values = [(i @ j / len(i) + 1) ** 3 for m, i in enumerate(a) for n, j in enumerate(b) if not (same and m == n)]
        return sum(values) / len(values)

    return mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)


def test_kid_is_a_thousand_times_the_mean_over_100_subsets(tmp_path: Path, network: Generator, many: RealSide) -> None:
    """With subsets as large as the smaller side, every one holds all fakes, and the mean over the reals is known."""
    stub, protocol = Stub("frame", dim=3), small("styleganv_kid", fake__num=24)
    result = evaluate(protocol, many, GeneratedSide(network, many), stub, Options(cache_dir=tmp_path))
    features = np.concatenate([answer.numpy() for answer in stub.answers]).astype(np.float64)
    real, fake = features[: sum(MANY)], features[-32:][:24]
    assert (result.facts["num_real"], result.facts["num_fake"]) == (sum(MANY), 24)
    # An unbiased estimate has the same mean over all subsets of the reals as on all of them.
    assert result.value == pytest.approx(1000 * kernel_distance(real, fake), rel=0.05)
    assert result.facts["bootstrap"] is None


def inception_score(rows: np.ndarray, num_splits: int) -> tuple[float, float]:
    parts = np.split(rows, num_splits)
    scores = [np.exp((p * (np.log(p) - np.log(p.mean(axis=0)))).sum(axis=1).mean()) for p in parts]
    return float(np.mean(scores)), float(np.std(scores))


@pytest.mark.parametrize(("name", "seed"), [("styleganv_is", None), ("styleganv_ucf_is", 42)])
def test_inception_scores_of_ten_parts(
    tmp_path: Path, network: Generator, many: RealSide, name: str, seed: int | None
) -> None:
    stub = Stub("frame" if name == "styleganv_is" else "clip")
    protocol = small(name, fake__num=40)
    result = evaluate(protocol, many, GeneratedSide(network, many), stub, Options(cache_dir=tmp_path))
    num_clips = 3 if name == "styleganv_is" else 40
    rows = np.concatenate([answer.numpy() for answer in stub.answers]).astype(np.float64)
    rows = rows[len(rows) - num_clips * (16 if name == "styleganv_is" else 1) :][:40]
    if seed is not None:
        np.random.RandomState(seed).shuffle(rows)
    mean, std = inception_score(rows, 10)
    assert result.value == pytest.approx(mean, rel=1e-6)
    assert result.facts["bootstrap"] == {"std_over_splits": pytest.approx(std, rel=1e-4)}
    assert result.facts["num_real"] is None and not protocol.lower_is_better


# The siblings without these oddities.


@pytest.mark.parametrize(("name", "frames", "stride"), [(name, *clip) for name, clip in SIBLINGS.items()])
def test_siblings_start_as_reals_with_equal_numbers(
    tmp_path: Path, network: Generator, long: RealSide, name: str, frames: int, stride: int
) -> None:
    protocol, stub = small(name, fake__num=5), Stub(dim=3)
    result, real, fakes = carried_out(tmp_path, protocol, long, GeneratedSide(network, long), stub)
    assert result.facts["num_real"] == result.facts["num_fake"] == len(real) == len(fakes) == 5
    starts, everything = [], protocol.changed(clip__num_frames=max(LONG))
    for number, clip in enumerate(fakes):
        whole = rendered(network, everything, number, 0)
        candidates = range(max(LONG) - frames + 1)
        starts.append(next(t for t in candidates if same_clip(clip, whole[:, t : t + frames])))
    assert len(set(starts)) > 1
    usable = [video for video, length in enumerate(LONG) if length >= frames]
    videos = [video_and_times(clip)[0][0] for clip in real]
    assert videos != usable[:5] and len(set(videos)) == 5 and set(videos) <= set(usable)
    x, y = answers(stub, real), answers(stub, fakes)
    expected = kernel_distance(x, y) if name == "kvd_16f" else frechet(x, y, unbiased=True)
    assert result.value == pytest.approx(expected, rel=1e-5)


def test_smaller_side_decides_the_number(tmp_path: Path, network: Generator, many: RealSide) -> None:
    protocol = small("fvd_16f", fake__num=30)
    result, real, fakes = carried_out(tmp_path, protocol, many, GeneratedSide(network, many), Stub())
    assert result.facts["num_real"] == result.facts["num_fake"] == len(real) == len(fakes) == 10


def test_late_starts_are_a_draw_each(tmp_path: Path, network: Generator, many: RealSide) -> None:
    protocol, stub = small("fvd_16f", fake__num=4, fake__late_starts=(0, 128, 10000)), Stub(dim=3)
    result, real, _ = carried_out(tmp_path, protocol, many, GeneratedSide(network, many), stub)
    clips = torch.cat(stub.clips)[-12:].unflatten(0, (3, 4))
    assert list(result.facts["late"]) == ["0", "128", "10000"]
    for place, start in enumerate((0, 128, 10000)):
        for number, clip in enumerate(clips[place]):
            assert same_clip(clip[None], rendered(network, protocol, 4 * (1 + place) + number, start))
        expected = frechet(answers(stub, real), answers(stub, [clips[place]]), unbiased=True)
        assert result.facts["late"][str(start)] == pytest.approx(expected, rel=1e-6)


def test_independent_frames(tmp_path: Path, network: Generator, many: RealSide) -> None:
    """`fid`: random real frames of all videos, without replacement; each fake of a video of its own."""
    protocol, stub = small("fid", fake__num=60), Stub("frame", dim=3)
    result = evaluate(protocol, many, GeneratedSide(network, many), stub, Options(cache_dir=tmp_path))
    frames = torch.cat([clips.flatten(0, 1) for clips in stub.clips])
    said = [(int(frame[0, 0, 0]), int(frame[2, 0, 0])) for frame in frames[:60]]
    assert len(set(said)) == 60 and len({video for video, _ in said}) > 9, "frames of few videos"
    assert all(time < MANY[video] for video, time in said)
    assert frames[-60:].flatten(1).unique(dim=0).shape[0] == 60
    features = np.concatenate([answer.numpy() for answer in stub.answers]).astype(np.float64)
    assert result.value == pytest.approx(frechet(features[:60], features[-60:], unbiased=True), rel=1e-6)


def test_any_two_data_sets(tmp_path: Path, many: RealSide) -> None:
    fake = filmed_side(tmp_path / "other", [20] * 12)
    stub = Stub(dim=3)
    result, real, fakes = carried_out(tmp_path, small("fvd_16f", fake__num=8), many, fake, stub)
    shown = [video_and_times(clip)[0] for clip in fakes]
    assert len({video for video, _ in shown}) == 8 and len({times[0] for _, times in shown}) > 1
    assert result.value == pytest.approx(frechet(answers(stub, real), answers(stub, fakes), unbiased=True), rel=1e-6)
