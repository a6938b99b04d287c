from __future__ import annotations

import json
from pathlib import Path

import pytest

from stylegan_v.metrics.measure import COLUMNS
from stylegan_v.metrics.summary import (
    FLOOR,
    FROZEN_SAMPLES,
    SAMPLES,
    UNTRAINED,
    Rows,
    judge,
    markdown,
    summarize,
    write_report,
)


def draw(floor: float, samples: float, frozen: float, untrained: float) -> Rows:
    values = {FLOOR: floor, SAMPLES: samples, FROZEN_SAMPLES: frozen, UNTRAINED: untrained}
    return {row: dict.fromkeys(COLUMNS, value) for row, value in values.items()}


DRAWS = [draw(1, 20, 30, 101), draw(3, 40, 30, 103)]


def make_report() -> dict[str, object]:
    protocol = {"clips": 8, "frames": 16, "draws": 2, "resolution": [32, 48], "reference": "held-out videos"}
    protocol |= {"weights": "averaged (EMA)", "covariance": "unbiased (N - 1)"}
    return {
        "measure": "A measure",
        "protocol": protocol,
        "rows": summarize(DRAWS),
        "verdict": judge(DRAWS),
        "draws": DRAWS,
    }


def test_mean_and_spread_over_the_draws() -> None:
    cell = summarize(DRAWS)[SAMPLES]["motion_kernel"]
    assert cell["mean"] == pytest.approx(30) and cell["std"] == pytest.approx(200**0.5)


def test_verdict() -> None:
    verdict = judge(DRAWS)
    assert verdict["appearance_covered"] == pytest.approx((102 - 30) / (102 - 2))
    assert verdict["motion_below_frozen"] == 0.5
    assert verdict["motion_over_frozen"] == pytest.approx(1)


def test_text_says_what_was_compared_and_every_row() -> None:
    text = markdown(make_report(), Path("curves.png"))
    assert "8 clips of 16 frames at 32x48" in text and "2 independent draws" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 4 and len({len(row) for row in rows}) == 1
    assert "| samples " in rows[3] and "30 +- 14" in rows[3]
    assert "covers 72% of the way" in text and "In 50% of the draws" in text
    assert "![training curves](curves.png)" in text and "curves" not in markdown(make_report(), None)


def test_report_is_written_as_json_and_text(tmp_path: Path) -> None:
    report = make_report()
    write_report(tmp_path, report, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.md"]
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert (tmp_path / "report.md").read_text() == markdown(report, None)
