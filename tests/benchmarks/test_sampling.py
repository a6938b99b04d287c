"""The benchmark of sampling: what it compares, and that it runs."""

from __future__ import annotations

import json

import jaxtyping
import pytest

from benchmarks import sampling as bench
from benchmarks.train_step import ORIGINAL_PRODUCT, Timing


@pytest.fixture(autouse=True)
def _small_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product as fast as the recorded one, without computing it."""
    monkeypatch.setattr(bench, "measure_product", lambda device: Timing(1.0, 1.0, ORIGINAL_PRODUCT / 2))


def test_quotient_counts_a_multiply_add_as_two_operations() -> None:
    assert bench.quotient(3.0, 10.0, 187.0) == pytest.approx(3 * 2 * 10 / 187)


def test_score_is_the_ratio_of_frames_per_second_on_equal_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "Generator", _narrow)
    monkeypatch.setattr(bench, "_time", lambda *args: (2.0, 3.0))
    report = bench.sampling(64, frames=8, chunk=4, device="cpu")
    assert report.frames_per_second == 4 and report.cpu_seconds_per_frame == pytest.approx(3 / 8)
    assert report.score == pytest.approx(4 / 3.1)
    assert report.original_quotient == pytest.approx(bench.quotient(3.1, report.multiply_adds_per_frame, 187.0))
    assert report.cpu_score == pytest.approx(8 / 3 / 3.1)  # the product took as many CPU seconds as seconds


def test_command_reports_every_figure_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["--resolution", "16", "--frames", "5", "--chunk", "4", "--device", "cpu", "--channel_base", "64"])
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report["settings"]["frames"] == 5 and report["product_gflops"] == [ORIGINAL_PRODUCT] * 2
    assert report["frames_per_second"] > 0 and report["multiply_adds_per_frame"] > 0
    assert report["score"] is None  # nothing was recorded at this size
    assert "frames/s" in printed.err


def _narrow(resolution: int, channel_base: int) -> object:
    from stylegan_v.networks import Generator

    return Generator(resolution, channel_base=256)


def test_a_compiled_network_is_measured_beside_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # checks of shapes are no part of a graph
    sizes = ["--resolution=16", "--frames=4", "--chunk=4", "--device=cpu", "--channel_base=64"]
    bench.main([*sizes, "--compile=default", "--backend=eager"])
    printed = capsys.readouterr()
    found = json.loads(printed.out)["compiled"]
    assert found["ratio"] == pytest.approx(found["plain_seconds"] / found["compiled_seconds"])
    assert "plain, compiled, ratio: video" in printed.err


def test_graphs_without_a_gpu_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--resolution=16", "--frames=4", "--device=cpu", "--channel_base=64", "--compile=reduce-overhead"])
    assert "reduce-overhead replays CUDA graphs, and the device is cpu" in capsys.readouterr().err


@pytest.mark.parametrize(("flag", "complaint"), [("--resolution=20", "resolution 20"), ("--chunk=0", "chunk")])
def test_what_cannot_be_drawn_is_refused_in_one_line(
    flag: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        bench.main([flag])
    assert stopped.value.code == 2 and complaint in capsys.readouterr().err
