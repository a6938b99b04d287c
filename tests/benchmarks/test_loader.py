"""The benchmark of the loader: its material is the same video in every kind, and it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import loader as bench
from datasets.synthetic import SpriteVideo


def test_every_kind_holds_the_same_video(tmp_path: Path) -> None:
    video = SpriteVideo(0, 8, (128, 128))
    kinds = bench.make_material(tmp_path, [video])
    assert {"synthetic, rendered", "frame folder, JPEG", "zip, JPEG", "raw store", bench.REFERENCE} <= kinds.keys()
    for (source,) in kinds.values():
        assert len(source) == 8
        assert (source.read([1, 6]).float() - video.read([1, 6]).float()).abs().mean() < 4


@pytest.mark.parametrize("workers", [0, 1])
def test_command_reports_every_kind_as_json(capsys: pytest.CaptureFixture[str], workers: int) -> None:
    size = ["--resolution", "96", "--videos", "2", "--length", "6", "--batch", "2", "--seconds", "0.01"]
    bench.main([*size, "--workers", str(workers)])
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report[bench.REFERENCE]["ratio"] == 1
    for name, speed in report.items():
        assert speed["clips_per_second"] > 0 and (speed["cpu_ms_per_clip"] is None) == bool(workers)
        assert name in printed.err
