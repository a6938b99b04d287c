"""Protocols from end to end, on tiny data and with a stub network; what they look at is shown in tests/conformance."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from errors import InputError
from stylegan_v.metrics.evaluation import Options, Result, Stopped, evaluate
from stylegan_v.metrics.protocols import MetricProtocol, list_protocols, read_protocol
from stylegan_v.metrics.sides import FilmedSide, GeneratedSide, RealSide
from stylegan_v.networks import Generator
from tests.stylegan_v.metrics.coded_videos import MANY, Stub, real_side, write_videos
from tests.stylegan_v.tiny_gan import generator

LENGTHS = [*MANY, 140, 128, 130, 127, 150]  # 4 of them have 128 frames
KEYS = {
    "protocol", "protocol_hash", "value", "spread", "draws", "num_real", "num_fake", "detector", "detector_hash",
    "manifest_hash", "part", "sanity", "late", "cached", "seconds", "version", "caveat", "skipped", "bootstrap",
    "comparable", "data", "fake", "fake_hash", "labels", "size",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _caches(tmp_path_factory: pytest.TempPathFactory):  # noqa: ANN202
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("caches")))
        yield


@pytest.fixture(scope="module")
def network() -> Generator:
    return generator()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> RealSide:
    return real_side(tmp_path_factory.mktemp("data") / "videos", LENGTHS)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> FilmedSide:
    lengths = [*[130] * 4, 20, 12, *[20] * 8]
    return FilmedSide.open(write_videos(tmp_path_factory.mktemp("data") / "fakes", lengths, first=50))


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> RealSide:
    return real_side(tmp_path_factory.mktemp("data") / "short", [8, 8, 8])


def stub_for(protocol: MetricProtocol) -> Stub:
    return Stub("frame" if protocol.detector == "inception" else "clip", dim=3)


def tiny(name: str, **changes: Any) -> MetricProtocol:
    protocol = read_protocol(name)
    num = 12 if "is" in name or protocol.detector == "inception" else 5
    late = protocol.fake.late_starts[:2]
    return protocol.changed(**{"fake__num": num, "num_draws": 2, "fake__late_starts": late, **changes})


def run(tmp_path: Path, protocol: MetricProtocol, real: RealSide, fake: Any, stub: Stub | None = None, **options: Any):  # noqa: ANN201
    return evaluate(protocol, real, fake, stub or stub_for(protocol), Options(cache_dir=tmp_path / "kept", **options))


# Every protocol.


@pytest.mark.parametrize("name", list_protocols())
def test_generator_from_end_to_end(tmp_path: Path, network: Generator, real: RealSide, name: str) -> None:
    protocol, told = tiny(name), []
    result = run(tmp_path, protocol, real, GeneratedSide(network, real), progress=lambda *numbers: told.append(numbers))
    record = result.record()
    assert set(record) == KEYS and json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["protocol_hash"] == protocol.digest and record["manifest_hash"] == real.manifest
    assert (record["detector"], record["detector_hash"], record["part"]) == ("stub", "definition:stub", "all")
    assert np.isfinite(record["value"]) and len(record["draws"]) == 2 and record["draws"][0] != record["draws"][1]
    assert record["num_fake"] == min(protocol.fake.num, 4 if name == "fvd_128f" else 99)
    assert list(record["late"] or {}) == [str(start) for start in protocol.fake.late_starts]
    assert told[-1][0] == told[-1][1] and [done for done, _ in told] == sorted({done for done, _ in told})
    if record["sanity"]:
        assert list(record["sanity"]) == ["real", "frozen", "shuffled", "reversed", "num"]


@pytest.mark.parametrize("name", list_protocols())
def test_videos_in_files_from_end_to_end(tmp_path: Path, filmed: FilmedSide, real: RealSide, name: str) -> None:
    protocol, told = tiny(name), []
    record = run(tmp_path, protocol, real, filmed, progress=lambda *numbers: told.append(numbers)).record()
    assert np.isfinite(record["value"]) and told[-1][0] == told[-1][1]
    required = protocol.clip.required
    assert record["skipped"]["fake"] == {1: 0, 16: 1, 128: 10}[required] and record["fake_hash"] == filmed.manifest
    assert record["late"] is None, "files have the times that they have"
    items_per_clip = protocol.clip.num_frames if stub_for(protocol).unit == "frame" else 1
    clips_per_draw = -(-record["num_fake"] // items_per_clip)
    assert len(record["draws"]) == min(2, (14 - record["skipped"]["fake"]) // clips_per_draw)


def test_draws_of_files_share_no_video(tmp_path: Path, filmed: FilmedSide, real: RealSide) -> None:
    stub = Stub()
    record = run(tmp_path, tiny("styleganv_fvd2048_16f", fake__num=6), real, filmed, stub).record()
    assert len(record["draws"]) == 2 and len({video for video, _ in stub.shown[-12:]}) == 12


# Numbers that there are too few of.


IMAGE_OR_FAKES_ALONE = {"fid", "styleganv_fid50k_full", "styleganv_kid", "styleganv_is", "styleganv_ucf_is"}
VIDEO_SCORES = [name for name in list_protocols() if name not in IMAGE_OR_FAKES_ALONE]


@pytest.mark.parametrize("name", VIDEO_SCORES)
def test_no_real_video_is_long_enough(tmp_path: Path, network: Generator, short: RealSide, name: str) -> None:
    protocol = tiny(name)
    message = rf"no video has {protocol.clip.required} frames \(3 are shorter\)"
    with pytest.raises(InputError, match=message) as caught:
        run(tmp_path, protocol, short, GeneratedSide(network, short))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(IMAGE_OR_FAKES_ALONE))
def test_short_videos_are_enough_for_other_scores(
    tmp_path: Path, network: Generator, short: RealSide, name: str
) -> None:
    """For those of single frames, and those of fakes alone."""
    record = run(tmp_path, tiny(name), short, GeneratedSide(network, short)).record()
    assert np.isfinite(record["value"]) and record["sanity"] is None
    assert record["skipped"]["real"] == (3 if name == "styleganv_ucf_is" else 0)


def test_no_generated_video_is_long_enough(tmp_path: Path, real: RealSide) -> None:
    fake = FilmedSide.open(write_videos(tmp_path / "fakes", [8, 8]))
    with pytest.raises(InputError, match=r"fakes: no video has 16 frames \(2 are shorter\)"):
        run(tmp_path, tiny("fvd_16f"), real, fake)


@pytest.mark.parametrize(("name", "works"), [("styleganv_fvd2048_16f", True), ("fvd_16f", False), ("kvd_16f", False)])
def test_single_video(tmp_path: Path, network: Generator, name: str, works: bool) -> None:
    single = real_side(tmp_path / "single", [20])
    fake = GeneratedSide(network, single)
    if works:  # a biased covariance of one clip is zero
        assert np.isfinite(run(tmp_path, tiny(name), single, fake).value)
        return
    stub = Stub()
    with pytest.raises(InputError, match=r"1 clip\(s\) on a side, and it takes 2: give more videos"):
        run(tmp_path, tiny(name), single, fake, stub)
    assert not stub.clips, "said before any work is done"


def test_too_few_fakes_for_the_parts_of_a_score(tmp_path: Path, network: Generator, real: RealSide) -> None:
    stub = Stub()
    with pytest.raises(InputError, match="and it takes 10"):
        run(tmp_path, tiny("styleganv_ucf_is", fake__num=9), real, GeneratedSide(network, real), stub)
    assert not stub.clips


def test_rows_are_left_out_where_a_score_needs_more_videos(tmp_path: Path, network: Generator, real: RealSide) -> None:
    record = run(tmp_path, tiny("styleganv_ucf_is"), real, GeneratedSide(network, real)).record()
    assert record["sanity"] is None, "halves have 7 clips, and the score 10 parts"


# What networks and protocols ask of each other.


def test_weights_that_the_protocol_does_not_mean(tmp_path: Path, network: Generator, real: RealSide) -> None:
    protocol = tiny("fvd_16f").changed(detector_sha256="0" * 64)
    with pytest.raises(InputError, match=r"definition:stub, and the protocol wants 0000"):
        run(tmp_path, protocol, real, GeneratedSide(network, real))
    assert run(tmp_path, protocol.changed(detector_sha256="definition:stub"), real, GeneratedSide(network, real)).draws


def test_network_that_needs_longer_clips(tmp_path: Path, network: Generator, real: RealSide) -> None:
    with pytest.raises(InputError, match="clips of 16 frames are too short for stub, which needs 17"):
        run(tmp_path, tiny("fvd_16f"), real, GeneratedSide(network, real), Stub(min_frames=17))


@pytest.mark.parametrize("name", ["fid", "styleganv_fid50k_full"])
def test_network_of_clips_cannot_look_at_single_frames(
    tmp_path: Path, network: Generator, real: RealSide, name: str
) -> None:
    with pytest.raises(InputError, match="is of single frames, and stub looks at clips"):
        run(tmp_path, tiny(name), real, GeneratedSide(network, real), Stub("clip"))


class NaNStub(Stub):
    """Its third answer is no number."""

    def features(self, clips: Tensor) -> Tensor:
        answer = super().features(clips)
        return answer * torch.nan if len(self.clips) == 3 else answer


@pytest.mark.parametrize("name", ["fvd_16f", "kvd_16f", "styleganv_kid"])
def test_features_that_are_no_numbers(tmp_path: Path, network: Generator, real: RealSide, name: str) -> None:
    protocol = tiny(name)
    with pytest.raises(InputError, match="rows"):
        run(tmp_path, protocol, real, GeneratedSide(network, real), NaNStub(stub_for(protocol).unit), batch_frames=16)
    assert not list((tmp_path / "kept").glob("*.npz")), "wrong statistics are kept"


def test_caveat_of_a_network_is_said_instead_of_what_compares(
    tmp_path: Path, network: Generator, real: RealSide
) -> None:
    protocol, fake = read_protocol("fvd_16f"), GeneratedSide(network, real)
    small = tiny("fvd_16f")
    assert run(tmp_path, small, real, fake).record()["comparable"] is None, "it is not the protocol any more"
    stub = Stub(dim=3)
    stub.caveat = "not comparable"
    record = run(tmp_path, small, real, fake, stub).record()
    assert (record["caveat"], record["comparable"]) == ("not comparable", None) and protocol.comparable


# How it is carried out does not matter.


@pytest.mark.parametrize(
    "name",
    ["fvd_16f", *(pytest.param(name, marks=pytest.mark.slow) for name in ("styleganv_kid", "styleganv_is", "fid"))],
)
def test_size_of_groups_does_not_matter(tmp_path: Path, filmed: FilmedSide, real: RealSide, name: str) -> None:
    records = []
    for batch_frames in (1, 40, 1000):
        protocol = tiny(name, fake__num=7 if name == "fvd_16f" else 40)
        record = run(tmp_path / str(batch_frames), protocol, real, filmed, batch_frames=batch_frames).record()
        records.append({key: value for key, value in record.items() if key != "seconds"})
    for record in records[1:]:
        assert (record["sanity"] or {}) == pytest.approx(records[0]["sanity"] or {}, rel=1e-5)
        assert record["draws"] == pytest.approx(records[0]["draws"], rel=1e-5)
        different = {key for key in record if record[key] != records[0][key]}
        assert different <= {"sanity", "draws", "value", "spread", "bootstrap"}


def test_no_global_state_is_changed(tmp_path: Path, network: Generator, real: RealSide) -> None:
    """On a thread beside training, which must go on as if nothing were."""
    before = (torch.get_rng_state(), np.random.get_state()[1].copy(), torch.is_grad_enabled(), torch.get_num_threads())
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    results: list[Result] = []
    protocol, fake = tiny("kvd_16f"), GeneratedSide(network, real)
    thread = threading.Thread(target=lambda: results.append(run(tmp_path, protocol, real, fake)))
    thread.start()
    thread.join()
    assert torch.equal(torch.get_rng_state(), before[0]) and np.array_equal(np.random.get_state()[1], before[1])
    assert (torch.is_grad_enabled(), torch.get_num_threads()) == before[2:]
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    assert results[0].draws == run(tmp_path / "again", protocol, real, fake).draws


def test_two_evaluations_at_once(tmp_path: Path, network: Generator, real: RealSide) -> None:
    """They share the real videos, whose decoders must not be used by two threads."""
    protocols = [tiny("styleganv_fvd2048_16f"), tiny("kvd_16f")]
    expected = [run(tmp_path / "one", each, real, GeneratedSide(network, real)).draws for each in protocols]
    found: dict[int, list[float]] = {}

    def work(n: int) -> None:
        found[n] = run(tmp_path / "both", protocols[n], real, GeneratedSide(network, real)).draws

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[0], found[1]] == expected


def test_stop(tmp_path: Path, network: Generator, real: RealSide) -> None:
    stub = Stub()
    with pytest.raises(Stopped):
        run(tmp_path, tiny("fvd_16f"), real, GeneratedSide(network, real), stub, stop=lambda: len(stub.clips) == 3)
    assert len(stub.clips) == 3


def test_damaged_video_is_not_silent(tmp_path: Path, network: Generator, caplog: pytest.LogCaptureFixture) -> None:
    """Sources replace a frame that cannot be decoded by its neighbour, and say so."""
    real = real_side(tmp_path / "videos", [16] * 6)
    (tmp_path / "videos" / "v3" / "7.png").write_bytes(b"nothing")
    result = run(tmp_path, tiny("styleganv_fvd2048_16f"), real, GeneratedSide(network, real))
    assert result.facts["num_real"] == 6 and "cannot be decoded" in caplog.text


# The cache.


def test_second_run_finds_the_reference(tmp_path: Path, network: Generator, real: RealSide) -> None:
    protocol, told = tiny("kvd_16f"), []
    stubs = [Stub(), Stub()]
    first, second = (
        run(tmp_path, protocol, real, GeneratedSide(network, real), stub, progress=lambda *n: told.append(n)).record()
        for stub in stubs
    )
    assert (first.pop("cached"), second.pop("cached")) == (False, True)
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    shown = [torch.cat(stub.clips) for stub in stubs]
    assert len(shown[1]) == 4 * 5 < len(shown[0]) and torch.equal(shown[0][-20:], shown[1])
    assert told[-1][0] == told[-1][1]


def test_score_without_a_reference_keeps_its_rows(tmp_path: Path, network: Generator, real: RealSide) -> None:
    protocol = tiny("styleganv_is", fake__num=20)
    records = [run(tmp_path, protocol, real, GeneratedSide(network, real)).record() for _ in range(2)]
    assert [record["cached"] for record in records] == [False, True]
    assert records[0]["sanity"] == records[1]["sanity"] and records[0]["value"] == records[1]["value"]


def test_anything_else_is_not_found_in_the_cache(tmp_path: Path, network: Generator) -> None:
    root = write_videos(tmp_path / "videos", MANY)

    def cached(protocol: MetricProtocol, size: int = 16, stub: Stub | None = None) -> bool:
        real = RealSide.open(root)
        fake = GeneratedSide(network if size == 16 else generator(resolution=size), real)
        return run(tmp_path, protocol, real, fake, stub).record()["cached"]

    protocol = tiny("styleganv_fvd2048_16f", num_draws=1)
    other = Stub(dim=3)
    other.digest = "definition:other"
    assert not cached(protocol) and cached(protocol)
    for change in ({"seed": 1}, {"real__max_num": 5}, {"clip__num_frames": 8}, {"fake__num": 4}):
        assert not cached(protocol.changed(**change)), change
        assert cached(protocol.changed(**change)), change
    assert not cached(protocol, stub=other)
    assert not cached(protocol, size=32) and cached(protocol)
    Image.fromarray(np.full((16, 16, 3), 9, np.uint8)).save(root / "v1" / "1.png", compress_level=0)
    assert not cached(protocol) and cached(protocol)
    write_videos(root / "more", [16])
    assert not cached(protocol) and cached(protocol)


def test_number_of_files_is_part_of_the_key(tmp_path: Path, real: RealSide) -> None:
    """With equal numbers on both sides, fewer generated videos mean another reference."""
    root = write_videos(tmp_path / "fakes", [16] * 4)
    assert not run(tmp_path, tiny("fvd_16f", fake__num=9), real, FilmedSide.open(root)).facts["cached"]
    write_videos(root / "more", [16])
    record = run(tmp_path, tiny("fvd_16f", fake__num=9), real, FilmedSide.open(root)).record()
    assert not record["cached"] and record["num_real"] == 5


def test_halves_do_not_share_a_cache(tmp_path: Path, network: Generator) -> None:
    root = write_videos(tmp_path / "videos", [16] * 12)
    protocol, cached = tiny("styleganv_fvd2048_16f"), []
    for part in ("all", "validation", "test", "validation"):
        real = RealSide.open(root, part)
        record = run(tmp_path, protocol, real, GeneratedSide(network, real)).record()
        cached.append(record["cached"])
        assert record["part"] == part and record["num_real"] == (12 if part == "all" else 6)
    assert cached == [False, False, False, True]


def test_damaged_cache_is_made_anew(
    tmp_path: Path, network: Generator, real: RealSide, caplog: pytest.LogCaptureFixture
) -> None:
    protocol, fake = tiny("fvd_16f"), GeneratedSide(network, real)
    first = run(tmp_path, protocol, real, fake)
    (path,) = (tmp_path / "kept").glob("*.npz")
    path.write_bytes(path.read_bytes()[:-100])
    second, third = (run(tmp_path, protocol, real, fake) for _ in range(2))
    assert "made anew" in caplog.text
    assert [each.facts["cached"] for each in (first, second, third)] == [False, False, True]
    assert first.draws == second.draws == third.draws


def test_cache_that_cannot_be_written_costs_no_result(
    tmp_path: Path, network: Generator, real: RealSide, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kept").write_text("a file")
    assert run(tmp_path, tiny("fvd_16f"), real, GeneratedSide(network, real)).draws
    assert "cannot be kept" in caplog.text
