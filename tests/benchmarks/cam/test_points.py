"""The gates of signals and pictures, and what their runs are asked to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.cam import points
from benchmarks.cam.fits import Fit
from benchmarks.cam.table import Row


def row(*ours: float) -> Row:
    return Row("a", "", dict(enumerate(ours)), 1, 32)


def test_a_median_within_ten_percent_is_near() -> None:
    assert points.far_from(row(0.1, 0.0769, 0.02), 0.07) == []
    assert points.far_from(row(3.1, 3.2, 9.0), 3.34) == []
    assert "median 0.0771 is not within 10% of 0.07" in points.far_from(row(0.1, 0.0771, 0.02), 0.07)[0]
    assert points.far_from(row(2.9, 3.0, 9.0), 3.34) and points.far_from(row(float("nan")), 3.34)


def test_four_decibels_on_average_are_enough() -> None:
    assert points.too_close(row(30.0, 32.0), row(33.0, 37.0)) == []
    assert points.too_close(row(30.0, 32.0), row(33.0, 36.9)) == ["a: 3.95 dB above a, not 4"]
    assert points.too_close(row(30.0), row(float("nan")))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, dict[str, Any]]]:
    """Runs that were asked for, by name; each finds what its config says of modulation, worse by its seed."""
    runs = {}

    def fit(work: Path, name: str, config: str, changes: dict[str, Any]) -> Fit:
        runs[name] = (config, changes)
        errors = {"signal_mlp": 4.97, "signal_pe": 3.34, "signal_cam": 0.07, "signal_pe_cam": 0.03}
        found = {"mse": errors.get(Path(config).stem, 0.0), "psnr": 38.0 if "cam" in config else 32.0}
        return Fit([{"updates": updates, "parameters": 5, "bits": 160, **found} for updates in (50, 100)], work / name)

    monkeypatch.setattr(points, "fit", fit)
    return runs


def test_signals_are_of_the_recorded_target(asked: dict, tmp_path: Path) -> None:
    table = points.signal(tmp_path, [3, 4])
    assert len(asked) == 8 and table.failures == []
    config, changes = asked["signal_pe_cam_4"]
    assert config == "configs/fields/signal_pe_cam.yaml" and changes["seed_everything"] == 4
    assert changes["data.path"].endswith("cam/signal1d.npz") and changes["data.y"] == "target/y"
    assert [row.paper for row in table.rows] == ["4.97", "3.34", "0.07", "0.03"]
    assert table.curves["MLP"] == ([50, 100], [4.97, 4.97]) and table.log_curves


def test_pictures_differ_in_modulation_alone(asked: dict, tmp_path: Path) -> None:
    assert points.picture(tmp_path, [0]).failures == []
    (_, plain), (_, modulated) = asked["image_ffn_0"], asked["image_cam_0"]
    assert modulated.pop("model.model.knots") == [32, 32] and plain == modulated
    assert (plain["model.model.hidden"], plain["model.total_updates"]) == ([64, 64, 64], 500)


def test_generalisation_has_runs_of_its_own(asked: dict, tmp_path: Path) -> None:
    points.generalisation(tmp_path, [0])
    assert asked["image_cam_quarter_0"][1]["data.every"] == 2
    assert asked["image_cam_quarter_0"][1]["model.model.knots"] == [12, 12]
