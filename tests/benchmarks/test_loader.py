"""The benchmark of the loader: its material is the same video in every kind, its limits decode the same clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import loader as bench
from benchmarks.loader_limits import Limits

KINDS = {"raw store", bench.ZIP, "frame folder, JPEG", "video, PyAV", f"{bench.ZIP}, decode_on"}


def test_every_kind_holds_the_same_video(tmp_path: Path) -> None:
    video = bench.filmed(0, 8, 128, noise=2.0)
    kinds = bench.make_material(tmp_path, [video])
    assert {kind.name for kind in kinds} >= KINDS
    for kind in kinds:
        (source,) = kind.sources
        assert len(source) == 8
        assert (source.read([1, 6]).float() - video[[1, 6]].float()).abs().mean() < 5
        assert 0.5 < bench.kilobytes(source) <= 3 * 128**2 / 1000 + 0.1


def test_noise_is_of_light_alone_and_makes_files_larger(tmp_path: Path) -> None:
    still, noisy = bench.filmed(0, 2, 64, noise=0.0), bench.filmed(0, 2, 64, noise=6.0)
    grain = noisy.float() - still.float()
    inner = (still > 40).all(1, keepdim=True) & (still < 215).all(1, keepdim=True)
    assert torch.equal((grain[:, :1] * inner), (grain[:, 1:2] * inner)), "the same for all colours"
    assert 5 < grain[:, :1][inner].std() < 7
    sizes = [
        bench.kilobytes(bench.make_material(tmp_path / n, [v])[1].sources[0])
        for n, v in zip("ab", (still, noisy), strict=True)
    ]
    assert sizes[1] > 1.5 * sizes[0]


def test_the_limit_decodes_the_clips_that_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = [bench.filmed(i, 12, 32, noise=0.0) for i in range(3)]
    raw = bench.make_material(tmp_path, videos)[0]
    asked: list[Any] = []
    monkeypatch.setattr(Limits, "of", lambda self, source, times: asked.append(source.read(times)) or (lambda: None))
    with Limits() as limits:
        decodings, batches = raw.decodings(2, 3, limits), raw.batches(2, 3, workers=0)
        for _ in range(3):
            asked.clear()
            assert len(next(decodings)) == 2
            assert torch.equal(torch.stack(asked), next(batches)["clip"])


@pytest.mark.parametrize("workers", [0, 1])
def test_command_reports_every_kind_as_json(capsys: pytest.CaptureFixture[str], workers: int) -> None:
    size = ["--resolution", "96", "--videos", "2", "--length", "6", "--batch", "2", "--seconds", "0.01"]
    bench.main([*size, "--workers", f"[{workers}]"])
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert {speed["kind"] for speed in report} >= KINDS
    for speed in report:
        assert speed["workers"] == workers and speed["clips_per_second"] > 0 and speed["limit"] > 0
        assert speed["share"] == pytest.approx(speed["clips_per_core"] / speed["limit"])
        assert speed["cores"] == pytest.approx(500 / 3 / speed["clips_per_core"])
        assert speed["kind"] in printed.err


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--length=2", "--frames=3"], "length >= frames"),
        (["--seconds=0"], "seconds"),
        (["--batch=x"], "batch: Expected"),
    ],
)
def test_impossible_sizes_are_one_clear_error(
    flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        bench.main(flags)
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and complaint in said and len(said.splitlines()) == 1
