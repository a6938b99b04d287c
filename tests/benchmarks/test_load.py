"""The benchmark of loading: what it compares, that it runs, and how much memory loading may take."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
import torch

from benchmarks import load as bench
from stylegan_v.weights import read_weights

RECORDED = Path(__file__).resolve().parents[1] / "conformance" / "data" / "stylegan_v" / "official_256_parameters.json"


def test_every_way_loads_the_same_generator(tmp_path: Path) -> None:
    bench.write_files(tmp_path, 32, 64)
    first, *others = (load(tmp_path / file).state_dict() for file, load in bench.WAYS.values())
    for other in others:
        torch.testing.assert_close(other, first, rtol=0, atol=0)
    kinds = {read_weights(tmp_path / file).kind for file, _ in bench.WAYS.values()}
    assert kinds == {"checkpoint", "model", "generator"}


def test_a_row_holds_medians_and_memory_in_units_of_the_file() -> None:
    row = bench.summary(50.0, [[1.0, 2.0, 100.0], [3.0, 4.0, 60.0], [2.0, 9.0, 80.0]])
    assert row == bench.Loading(50.0, 2.0, 4.0, 80.0, 1.6)
    assert bench.summary(50.0, [[1.0, 2.0, None]]) == bench.Loading(50.0, 1.0, 2.0, None, None)
    report = bench.Report({}, {}, {"one": row, "two": bench.summary(50.0, [[1.0, 2.0, None]])})
    assert [line.split()[1:] for line in bench.table(report).splitlines()[1:]] == [
        ["50", "2.000", "4.000", "80", "1.60"],
        ["50", "1.000", "2.000", "-", "-"],
    ]


def test_memory_is_told_in_mebibytes() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("the system does not tell the memory of a process")
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts kilobytes
    assert bench.memory("VmHWM") == pytest.approx(largest, abs=4)
    assert 0 < bench.memory("VmRSS") <= bench.memory("VmHWM") + 4


def test_command_reports_every_figure_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "in_fresh_process", bench.measure)  # a process of its own takes seconds to start
    sizes = ["--resolution", "32", "--channel_base", "64", "--repeats", "1", "--folder", str(tmp_path)]
    bench.main(sizes)
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report["settings"]["repeats"] == 1
    assert report["parameters"]["generator"] == report["parameters"]["generator_ema"] > 0
    assert set(report["ways"]) == set(bench.WAYS)
    sizes = {way: report["ways"][way]["file_mib"] for way in report["ways"]}
    assert sizes["run checkpoint"] > sizes["model.safetensors"] > sizes["generator.safetensors"]
    assert all(0 < way["seconds"] <= way["seconds_all_read"] for way in report["ways"].values())
    assert "generator.safetensors" in printed.err
    assert list(tmp_path.iterdir()) == []  # nothing is left


def test_one_way_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    bench.write_files(tmp_path, 32, 64)
    bench.write_files(tmp_path / bench.TINY, 32, 64)
    seconds, all_read, grown = bench.in_fresh_process("generator.safetensors", tmp_path)
    assert 0 < seconds <= all_read
    assert grown is None or grown < 64


@pytest.mark.slow
def test_a_full_model_loads_in_little_more_memory_than_its_tensors(tmp_path: Path) -> None:
    """256 px with the totals of the original: at most twice the file, and hardly more than the generator's tensors."""
    if bench.memory("VmHWM") is None:
        pytest.skip("the system does not tell the memory of a process")
    report = bench.load(256, repeats=1, folder=str(tmp_path))
    totals = json.loads(RECORDED.read_text())["totals"]
    assert report.parameters["generator_ema"] == totals["G"]["parameters"] == 32_105_941
    assert report.parameters["discriminator"] == totals["D"]["parameters"] == 25_333_568
    tensors = 4 * report.parameters["generator_ema"] / bench.MIB
    for name, way in report.ways.items():
        if name != "run checkpoint, as before":
            assert way.memory_per_file <= 2
            assert 0.9 * tensors <= way.memory_mib <= 1.2 * tensors, name
