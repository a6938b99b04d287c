"""The table of a small video: what its runs are asked to do, and whose bytes count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.cam import video
from benchmarks.cam.fits import Fit


def test_fields_differ_in_modulation_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs: dict[str, tuple[str, dict[str, Any]]] = {}

    def fit(work: Path, name: str, config: str, changes: dict[str, Any]) -> Fit:
        runs[name] = (config, changes)
        psnr = {"mean": 32.0 + changes["data.seed"], "std": None}
        lines = [{"updates": count, "parameters": 7, "bits": 224, "psnr": psnr} for count in (100, 800)]
        return Fit(lines, work / name)

    monkeypatch.setattr(video, "fit", fit)
    monkeypatch.setattr(video, "_file_bytes", lambda run: 10 if run.name.endswith("_0") else 13)
    table = video.video(tmp_path, [0, 1])
    (first, plain), (second, modulated) = runs["ffnerv_tiny_1"], runs["ffnerv_tiny_cam_1"]
    assert (first, second) == ("configs/fields/ffnerv_tiny.yaml", "configs/fields/ffnerv_tiny_cam.yaml")
    assert plain == modulated and plain["seed_everything"] == plain["data.seed"] == 1
    assert [(row.ours, row.parameters, row.bits) for row in table.rows] == [({0: 32.0, 1: 33.0}, 7, 92)] * 2
    assert table.curves["FFNeRV + CAM"] == ([100, 800], [32.0, 32.0])
