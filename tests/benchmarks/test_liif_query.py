"""The benchmark of LIIF's query: what it compares, how it counts, that it runs, and what it must show."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks import liif_query as bench
from benchmarks.liif_query import Peak, Row, Setting
from benchmarks.memory import MIB

TINY = Setting(side=8, num_blocks=1, num_features=4, width=8)
FLAGS = ["--scales", "[2, 3]", "--rounds", "1", "--side", "8", "--num_blocks", "1", "--num_features", "4"]


def row(scale: int, ratio: float = 2.0, fast: float = 10.0, in_one: float = 40.0, process: bool = True) -> Row:
    peaks = {"fast": fast, "published": 20.0, "published in one": in_one}
    return Row(
        scale=scale,
        searched={"fast": {8: 0.5}, "published": {8: 0.5 * ratio, 64: 3.0}},
        chunks={"fast": 8, "published": 8},
        seconds={"fast": 0.5, "published": 0.5 * ratio},
        multiply_adds={"fast": 30.0, "published": 51.0},
        ratios=[1.9, 2.1],
        peaks={name: Peak(peak if process else None, peak) for name, peak in peaks.items()},
    )


def test_both_forms_render_the_same_pixels() -> None:
    model = TINY.model()
    features = TINY.features(model)
    fast, published = (bench.render(model, features, form, 3, 100) for form in bench.FORMS)
    assert fast.shape == (1, 3, 24, 24)
    torch.testing.assert_close(fast, published, rtol=1e-5, atol=1e-5)
    assert torch.equal(TINY.features(TINY.model()), features)


def test_each_form_is_timed_at_its_best_chunk_in_alternating_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = {("fast", 10): 3.0, ("fast", 20): 2.0, ("published", 10): 4.0, ("published", 20): 6.0}
    calls = []

    def render(model: object, features: object, form: str, scale: int, chunk: int) -> float:
        calls.append((form, chunk))
        return costs.get((form, chunk), 9.0)

    monkeypatch.setattr(bench, "render", render)
    monkeypatch.setattr(bench, "cpu_seconds", lambda call: call())
    found = bench.compare(TINY.model(), torch.zeros(1, 4, 8, 8), 2, rounds=2, chunks=[10, 20])
    assert found.searched == {"fast": {10: 3, 20: 2}, "published": {10: 4, 20: 6, 256: 9}}
    assert found.chunks == {"fast": 20, "published": 10}
    assert (found.seconds, found.ratio, found.ratios) == ({"fast": 2, "published": 4}, 2, [2, 2])
    turns = [form for form, _ in calls[5:9]]
    assert turns == ["published", "fast", "fast", "published"]


def test_multiply_adds_are_those_of_the_formulas() -> None:
    model = TINY.model()
    features = TINY.features(model)
    published = bench.multiply_adds(lambda: bench.render(model, features, "published", 4, 100))
    assert published == pytest.approx(4 * 32**2 * (8 * (9 * 4 + 4) + 3 * 8 * 8 + 8 * 3) / 1e9)
    fast = bench.multiply_adds(lambda: bench.render(model, features, "fast", 4, 100))
    # In the outer half cells, two pixels wide, two members are one on each axis.
    asked = (2 * 32 - 4) ** 2
    assert fast == pytest.approx(asked * (3 * 8 * 8 + 8 * 3) / 1e9 + features[0, 0].numel() * 9 * 4 * 8 / 1e9)


def test_peaks_are_above_the_output_and_do_not_grow_in_the_fast_form() -> None:
    fast = [bench.measure_peak(TINY, "fast", scale, 64).tensors for scale in (4, 8)]
    in_one = [bench.measure_peak(TINY, "published", scale, 64 * scale**2).tensors for scale in (4, 8)]
    assert 0 < fast[1] <= 1.1 * fast[0]
    assert in_one[1] == pytest.approx(4 * in_one[0], rel=0.1)
    inputs = 4 * 64 * 8**2 * (9 * 4 + 4) * 4 / MIB  # what the perceptron sees of four members
    assert in_one[1] > inputs


def test_a_peak_is_measured_in_a_process_of_its_own() -> None:
    peak = bench.in_fresh_process(TINY, "fast", 4, 64)
    assert peak.tensors == bench.measure_peak(TINY, "fast", 4, 64).tensors
    assert peak.process is None or peak.process < 16


def test_one_thread_and_then_as_before() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with pytest.raises(KeyError), bench.one_thread():
        assert torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_what_must_be_shown() -> None:
    assert bench.failures([row(4), row(8)]) == []
    assert bench.failures([row(4, ratio=1.69), row(8)]) == ["x4: ratio 1.69, not 1.7"]
    assert bench.failures([row(4, ratio=1.69), row(8)], ratio=1.5) == []
    assert len(bench.failures([row(4, ratio=float("nan"))])) == 1
    grown = bench.failures([row(4), row(8, fast=12.0, in_one=80.0)])
    assert grown == [f"x8: the peak of the {kind} grows with the output" for kind in ("process", "tensors")]
    large = bench.failures([row(4, in_one=39.0)])
    assert [text.split(" is ")[0] for text in large] == ["x4: the peak of the process", "x4: the peak of the tensors"]
    assert len(bench.failures([row(4, in_one=39.0, process=False)])) == 1


def test_the_table_has_a_line_per_form_and_the_search() -> None:
    _, *lines = bench.table([row(4), row(8, process=False)]).splitlines()
    assert lines[0].split() == ["x4", "fast", "8", "0.500", "1.00", "10.0", "10.0"]
    assert lines[1].split() == ["x4", "published", "8", "1.000", "2.00", "20.0", "20.0"]
    assert lines[2].split() == ["x4", "published", "in", "one", "64", "3.000", "6.00", "40.0", "40.0"]
    assert lines[3].split()[-2:] == ["-", "10.0"]
    assert lines[6] == "x4: ratio 1.90 to 2.10 over the rounds; 30.0 and 51.0 GMAC"
    assert lines[8] == "x4 published, seconds by chunk: 8: 1.000, 64: 3.000"


def test_the_command_prints_every_figure_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "in_fresh_process", bench.measure_peak)  # a process of its own takes seconds to start
    with pytest.raises(SystemExit) as end:
        bench.main([*FLAGS, "--width", "8", "--ratio", "1000"])
    assert end.value.code == 1
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert [found["scale"] for found in report["rows"]] == [2, 3]
    assert report["failures"][0].startswith("x2: ratio") and report["failures"][0] in printed.err
    for found in report["rows"]:
        assert found["ratio"] == pytest.approx(found["seconds"]["published"] / found["seconds"]["fast"])
        assert set(found["peaks"]) == {"fast", "published", "published in one"}


@pytest.mark.slow
def test_memory_of_the_published_size() -> None:
    """Peaks above the output, in fresh processes, with the same chunk at both scales."""
    in_one = [bench.in_fresh_process(Setting(), "published", scale, (48 * scale) ** 2) for scale in (4, 8)]
    for fast_chunk in (2048, 8192):
        fast = [bench.in_fresh_process(Setting(), "fast", scale, fast_chunk) for scale in (4, 8)]
        for kind in ("process", "tensors"):
            small, large = (getattr(peak, kind) for peak in fast)
            if small is not None:
                assert large <= small + bench.SLACK
                assert all(4 * found <= getattr(one, kind) for found, one in zip((small, large), in_one, strict=True))


@pytest.mark.slow
def test_the_published_size_is_faster_by_what_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """Process-CPU seconds of both forms in turns, one thread."""
    bench.main(["--rounds", "3"])
    found = json.loads(capsys.readouterr().out)
    assert found["failures"] == []
    assert [one["scale"] for one in found["rows"]] == [4, 8]
    for one in found["rows"]:
        assert one["ratio"] >= 1.7
        assert one["multiply_adds"]["published"] >= 1.7 * one["multiply_adds"]["fast"]
