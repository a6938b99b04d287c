"""Radiance fields as tables: what is asked for, and what of it is shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import radiance_fields
from benchmarks.cam import radiance
from benchmarks.radiance_fields import FIELDS, Row

CURVE = ((50, 12.0), (300, 21.0))
ROW = Row("static", "plain", 0, 300, 22_308, 21.0, 20.9, 14.0, 0.9, 0.15, None, CURVE, 20.0)
PSNR = {"plain": 21.0, "cam": 22.5, "cam_full": 22.0}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Fits that were asked for; each is as good as its field, and a little better by its seed."""
    keys = []

    def collect(wanted: list[tuple], size: int, folder: Path) -> list[Row]:
        keys.extend([*wanted, (size, folder.name)])
        return [
            replace(ROW, scene=scene, field=field, seed=seed, psnr=PSNR[field] + seed / 10, moved=0.1)
            for scene, field, seed, _ in wanted
        ]

    monkeypatch.setattr(radiance_fields, "collect", collect)
    return keys


def test_the_static_scene_has_both_elevations(asked: list[tuple], tmp_path: Path) -> None:
    table = radiance.static(tmp_path, [3, 4])
    assert set(asked[:-1]) == {("static", field, seed, 300) for field in FIELDS["static"] for seed in (3, 4)}
    assert asked[-1] == (40, "radiance_fields") and table.failures == []
    assert [(row.paper, row.ours[3], row.parameters, row.bits) for row in table.rows][:2] == [
        ("33.09*", 21.3, 22_308, 32 * 22_308),
        ("33.42*", 22.8, 22_308, 32 * 22_308),
    ]
    assert table.curves["NeRF + CAM"] == ([50, 300], [12.0, 21.0])
    assert "NeRF + CAM is +1.50 +- 0.00 dB from plain." in table.notes
    assert "NeRF: 14.00 dB of pixels that meet a sphere, whose depth errs by 0.150 on average." in table.notes


def test_gates_are_those_of_the_comparison(asked: list[tuple], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [row.name for row in radiance.moving(tmp_path, [0]).rows] == ["T-NeRF", "T-NeRF + CAM"]
    monkeypatch.setitem(PSNR, "cam", 15.0)
    assert radiance.moving(tmp_path, [0]).failures == ["moving: the mean of cam is 15.00 dB, not 16"]
